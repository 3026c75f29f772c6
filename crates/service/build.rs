//! Compiles the three gRPC services with protox, so that no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = ["control.proto", "command.proto", "sentry_api.proto"];
    for proto in protos {
        println!("cargo::rerun-if-changed=../../proto/{proto}");
    }
    let descriptors = protox::compile(protos, ["../../proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
