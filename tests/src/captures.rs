//! What real, unmodified clients once sent, byte for byte, and what they meant.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::programs::workspace;
use crate::wire::{Answer, Connection};

/// What a scenario meant and its client did not manage to say: the field `expected` names it, the bytes do not have it.
const NEVER_SAID: &[(&str, &[&str])] = &[
    // A shutdown handler on a newer PHP than the client knew: it reports its own trouble instead.
    ("php-airbrake-1.1.3/029", &["error_class", "error_message"]),
];

/// One request of a client: `NNN.http`, or `NNN.bin` for a message of gRPC, beside `NNN.json`.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Client and number, for messages.
    pub name: String,
    /// The request as it came over the socket, chunks already joined.
    pub raw: Vec<u8>,
    /// Bytes after the end that the client announced.
    pub trailing: Vec<u8>,
    /// What is known of it; `expected` is what the client meant.
    pub known: Value,
}

/// All fixtures of the repository, client by client in the order of sending.
pub fn fixtures() -> Vec<Vec<Capture>> {
    let folder = workspace().join("tests/fixtures");
    listed(&folder).iter().filter(|client| client.is_dir()).map(|client| of_client(client)).collect()
}

/// What Python's exporter sent by gRPC: bare messages, one a file. The larger collection where it lies beside the repository, else the fixtures.
pub fn messages() -> Vec<Capture> {
    const CLIENT: &str = "py-otel-grpc-1.45.1";
    let collection = workspace().parent().map(|parent| parent.join("shared/captures").join(CLIENT));
    let folder = collection.filter(|folder| folder.is_dir());
    let files = listed(&folder.unwrap_or_else(|| workspace().join("tests/fixtures").join(CLIENT)));
    let messages = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "bin"));
    messages.map(|file| Capture::read(file)).collect()
}

/// The requests of one client, in the order of sending.
pub fn of_client(folder: &Path) -> Vec<Capture> {
    let files = listed(folder);
    let requests = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "http"));
    requests.map(|file| Capture::read(file)).collect()
}

/// What lies in a folder, by name.
pub fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.sort();
    files
}

/// What is known of a request, without what its client never said and what nobody knows.
pub fn sayable(name: &str, mut known: Value) -> Value {
    if let Some(expected) = known.get_mut("expected").and_then(Value::as_object_mut) {
        let never_said = NEVER_SAID.iter().find(|(client, _)| *client == name).map_or(&[][..], |(_, fields)| *fields);
        expected.retain(|field, value| !value.is_null() && !never_said.contains(&field.as_str()));
    }
    known
}

impl Capture {
    fn read(file: &Path) -> Capture {
        let client = file.parent().and_then(Path::file_name).unwrap_or_default().display();
        let name = format!("{client}/{}", file.file_stem().unwrap_or_default().display());
        let known =
            std::fs::read(file.with_extension("json")).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Capture {
            known: sayable(&name, serde_json::from_slice(&known).expect("what is known is JSON")),
            name,
            raw: std::fs::read(file).expect("a fixture can be read"),
            trailing: std::fs::read(file.with_extension("trailing")).unwrap_or_default(),
        }
    }

    /// Whether it brings a notice.
    pub fn carries_error(&self) -> bool {
        self.known["carries_error"].as_bool() == Some(true)
    }

    /// Whether its client may have given the notice an id: all do but those of Hoptoad and Airbrake.
    pub fn names_its_notice(&self) -> bool {
        let nameless = ["/notifier_api/", "/api/v3/"];
        !self.known["path"].as_str().is_some_and(|path| nameless.iter().any(|start| path.starts_with(start)))
    }

    /// What the client meant by a field, if it is known.
    pub fn expected(&self, field: &str) -> Option<&Value> {
        self.known["expected"].get(field).filter(|value| !value.is_null())
    }

    /// Sends it as the client did, on a connection of its own.
    pub async fn send(&self, address: SocketAddr) -> std::io::Result<Answer> {
        let at = self.raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a request has a head");
        let (head, body) = (&self.raw[..at], &self.raw[at + 4..]);
        let head = String::from_utf8_lossy(head).into_owned();
        let is = |name: &str, value: &str| head.to_lowercase().contains(&format!("\r\n{name}: {value}"));
        let mut connection = Connection::open(address).await?;
        connection.write(format!("{head}\r\n\r\n").as_bytes()).await?;
        if is("transfer-encoding", "chunked") {
            for chunk in body.chunks(1000) {
                connection.write(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
                connection.write(chunk).await?;
                connection.write(b"\r\n").await?;
            }
            connection.write(b"0\r\n\r\n").await?;
        } else {
            // The body follows whether or not `100 Continue` was asked for: the server may answer that at any time.
            connection.write(body).await?;
            connection.write(&self.trailing).await?;
        }
        connection.answer().await
    }

    /// Where the shown notice is not what the client meant.
    pub fn differences(&self, notice: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let tail = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let error = &notice["errors"][0];
        let classes: Vec<_> =
            ["error_class", "wire_error_class"].iter().filter_map(|field| self.expected(field)).map(text).collect();
        let class = text(&error["class"]);
        let short = class.rsplit('.').next().unwrap_or_default().to_owned();
        if !classes.is_empty() && !classes.contains(&class) && !classes.contains(&short) {
            found.push(format!("class {class:?}, not {classes:?}"));
        }
        if let Some(message) = self.expected("error_message").map(text)
            && !is_same_but_for_cards(&message, &text(&error["message"]))
        {
            found.push(format!("message {}, not {message:?}", error["message"]));
        }
        for field in ["environment", "release"] {
            if let Some(expected) = self.expected(field)
                && notice[field] != *expected
            {
                found.push(format!("{field} {}, not {expected}", notice[field]));
            }
        }
        let top = &error["frames"][0];
        if let Some(function) = self.expected("top_frame_function").map(text) {
            let name = function.rsplit(['.', ':']).next().unwrap_or_default().to_owned();
            if !text(&top["function"]).ends_with(&name) {
                found.push(format!("top function {}, not {function:?}", top["function"]));
            }
            if let Some(file) = self.expected("top_frame_file").map(text)
                && tail(&text(&top["file"])) != tail(&file)
            {
                found.push(format!("top file {}, not {file:?}", top["file"]));
            }
            if let Some(line) = self.expected("top_frame_line")
                && top["line"] != *line
            {
                found.push(format!("top line {}, not {line}", top["line"]));
            }
        }
        if let Some(user) = self.expected("user_id").map(text)
            && text(&notice["user"]["id"]) != user
        {
            found.push(format!("user {}, not {user:?}", notice["user"]));
        }
        found
    }
}

/// Card numbers are masked on purpose: where long runs of digits differ, what stands around them must still be the same.
fn is_same_but_for_cards(expected: &str, shown: &str) -> bool {
    let is_card_part = |c: char| c.is_ascii_digit() || c == '-' || c == ' ';
    let cards = |text: &str| {
        text.split(|c| !is_card_part(c))
            .map(|run| run.trim().to_owned())
            .filter(|run| run.chars().filter(char::is_ascii_digit).count() >= 13)
            .collect::<Vec<_>>()
    };
    match cards(expected).first().and_then(|card| expected.split_once(card)) {
        Some((before, after)) => expected == shown || (shown.starts_with(before) && shown.ends_with(after)),
        None => expected == shown,
    }
}
