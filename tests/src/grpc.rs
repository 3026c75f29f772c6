//! Calls of gRPC whose messages are bytes, so that they can be what a capture holds, packed in any way, or none at all.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

/// A message as it is sent: whether it is packed, its length, and itself.
pub fn framed(is_packed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message has less than 4 GiB");
    [&[u8::from(is_packed)][..], &length.to_be_bytes(), message].concat()
}

/// A connection to a server of gRPC.
#[derive(Clone, Debug)]
pub struct Calls(Channel);

impl Calls {
    /// Connects.
    pub async fn to(address: SocketAddr) -> Calls {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("the address is one");
        Calls(endpoint.connect().await.unwrap_or_else(|error| panic!("{address}: {error}")))
    }

    /// Calls what is at this path with a body as it is; answers the message, or the status if it is not OK.
    pub async fn call(&self, path: &str, metadata: &[(&str, &str)], body: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut request = Request::builder().method(Method::POST).uri(path);
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")].iter().chain(metadata) {
            request = request.header(*name, *value);
        }
        let request = request.body(tonic::body::Body::new(Full::new(Bytes::from(body)))).expect("a good request");
        let mut channel = self.0.clone();
        let unreachable = |error: tonic::transport::Error| Status::from_error(error.into());
        let answer = channel.ready().await.map_err(unreachable)?.call(request).await.map_err(unreachable)?;
        let (head, body) = answer.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return if status.code() == Code::Ok { Ok(Vec::new()) } else { Err(status) };
        }
        assert_eq!(head.status, 200, "an answer without a status in its head has one in its trailers");
        let body = body.collect().await?;
        let status = body.trailers().and_then(Status::from_header_map).expect("the trailers have a status");
        if status.code() != Code::Ok {
            return Err(status);
        }
        let answered = body.to_bytes();
        let message = answered.get(5..).expect("a message has five bytes before it");
        assert_eq!(answered[..], framed(false, message), "one whole message");
        Ok(message.to_vec())
    }
}
