//! The controllers, their queue and their runner
