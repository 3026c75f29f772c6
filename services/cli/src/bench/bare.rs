//! A server that does nothing: hyper that reads the body and answers 200. No gateway on hyper can take more.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A bare server on threads of its own, as many as the machine has cores. It ends when dropped.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Bare {
    pub(crate) fn start() -> anyhow::Result<Bare> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting a bare server")?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("listening")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("the runtime takes listeners");
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer));
                tokio::spawn(connection);
            }
        });
        Ok(Bare { address, runtime: Some(runtime) })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    Ok(Response::new(Empty::new()))
}
