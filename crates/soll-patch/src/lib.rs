//! Strategic merge, JSON merge, JSON patch, structured merge
