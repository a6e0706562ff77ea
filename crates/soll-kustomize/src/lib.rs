//! kustomize build as a function of a tree
