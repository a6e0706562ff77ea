//! What Kubernetes types are: scope, merge keys, list types, fields
