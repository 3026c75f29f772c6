//! The harness of the end-to-end and failure tests.
//!
//! It starts the real programs on free ports, on servers of its own, and looks at them only through what is promised to others:
//! sockets, pages, the JSON API, the command line, and the documented tables and chunk format. No crate of the product is linked
//! in, so nothing here can share a mistake with it.
//!
//! * [`Installation`] is one whole Croak: database, queue prefix, gateway, workers, web.
//! * [`servers`] are Redis and PostgreSQL, private where a test wants to kill them.
//! * [`Visitor`] reads pages and sends forms, as a browser without JavaScript does; [`receiver`] takes webhook calls, [`mailbox`] mails.
//! * [`engines`] puts an installation on the servers that people run, and things happen to them.
//! * [`live`] runs real clients, each in its own language, and looks for what they report.
//! * [`exporter`] is a real exporter of OpenTelemetry, and what loses the answers to it; [`grpc`] calls with any bytes.
//! * [`wire`] sends bytes as they are; [`Api`] reads JSON; [`bodies`] reads the database and decodes the chunks itself.
//! * [`wait_until`] is how a test waits: it polls, with a limit.
//!
//! Environment: `CROAK_TEST_BINS` names a folder with the built programs (else they are built once by cargo, in the profile of
//! the test); `CROAK_TEST_DATABASE_URL` and `CROAK_TEST_REDIS_URL` name servers for the tests that do not kill any.

pub mod api;
pub mod axe;
pub mod bodies;
pub mod browser;
pub mod captures;
pub mod chaos;
pub mod engines;
pub mod exporter;
pub mod grpc;
pub mod hostile;
pub mod installation;
pub mod live;
pub mod load;
pub mod mailbox;
pub mod port;
pub mod process;
pub mod programs;
pub mod receiver;
pub mod samples;
pub mod servers;
pub mod shim;
pub mod throttle;
pub mod tour;
pub mod visitor;
pub mod wait;
pub mod wire;

mod watchdog;

pub use api::Api;
pub use installation::{Installation, Service};
pub use visitor::Visitor;
pub use wait::wait_until;
