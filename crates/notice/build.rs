//! Generates the messages of `proto/queue.proto` without needing an installed protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = "../../proto/queue.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["../../proto"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
