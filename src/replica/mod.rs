//! Replicas: processes of the exporter that share a state, and divide the API keys among them.

pub mod shares;
