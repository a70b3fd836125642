//! Prometheus and Alertmanager for real.
