//! Calico manifests, manx.toml and the store.
