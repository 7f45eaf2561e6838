//! The wire: reverse proxy, HTTP API, admin endpoints, metrics and configuration files; no algorithms.
