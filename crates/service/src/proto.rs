//! The generated gRPC code of `proto/control.proto`, `proto/command.proto` and `proto/sentry_api.proto`.

/// How operators talk to a running service.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::large_futures, reason = "generated")]
pub mod control {
    tonic::include_proto!("croak.control");
}

/// What people do on the web, on its way to a worker.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::large_futures, reason = "generated")]
pub mod command {
    tonic::include_proto!("croak.command");
}

/// What build tools ask for, on its way from a gateway to a worker.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::large_futures, reason = "generated")]
pub mod sentry_api {
    tonic::include_proto!("croak.sentry_api");
}
