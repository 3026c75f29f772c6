//! Notices that are made up: each can be told from all others, and it is known what must be kept of it.

use uuid::Uuid;

use crate::bodies::StoredBody;

use super::clients::{Client, Said, pad_name};

/// Different errors of one project.
const CLASSES: u16 = 40;

/// How many values of 72 bytes are added; the last ones come seldom.
const PADS: [usize; 4] = [0, 15, 200, 3_000];

/// What a marker begins with; 32 hexadecimal digits follow.
const MARKER: &str = "chaos-";

/// A notice of one of some kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Notices of one template differ in their marker alone, and in how the frames stand.
    pub template: Template,
    /// What no other notice has.
    pub marker: u128,
    /// Whether the frames stand in the other order.
    is_turned: bool,
}

/// What a notice is but for its marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    client: Client,
    class: u16,
    padding: u8,
}

impl Sample {
    /// One of those that come often: half of them are the same error again and again. None of them is named by its client.
    pub fn random() -> Sample {
        Sample::of(if rand::random() { Client::Json } else { Client::Xml })
    }

    /// The same, of clients of every kind.
    pub fn random_of_all() -> Sample {
        Sample::of(Client::ALL[rand::random_range(0..Client::ALL.len())])
    }

    fn of(client: Client) -> Sample {
        let class = if rand::random() { 0 } else { rand::random_range(0..CLASSES) };
        let padding = match rand::random_range(0..1_000) {
            0..700 => 0,
            700..980 => 1,
            980..999 => 2,
            _ => 3,
        };
        Sample { template: Template { client, class, padding }, marker: rand::random(), is_turned: false }
    }

    /// The id that its client has given it, by which it is known when it is sent again.
    pub fn name(&self) -> Option<Uuid> {
        self.template.client.names_its_notices().then(|| Uuid::from_u128(self.marker))
    }

    /// The same notice with its frames in another order, so that it is another error and may travel in another lane. Not where a
    /// notice has no name but what it says.
    pub fn turned(self) -> Sample {
        Sample { is_turned: self.template.client != Client::Otlp, ..self }
    }

    /// Whether both are the same notice, sent again.
    pub fn is_same(&self, other: &Sample) -> bool {
        (self.template, self.marker) == (other.template, other.marker)
    }

    /// The whole request that brings it to a project.
    pub fn request(&self, project_id: i64, key: &str) -> Vec<u8> {
        let Template { client, class, padding } = self.template;
        let said = Said {
            class: &class_name(class),
            marker_text: &self.marker_text(),
            name: &format!("{:032x}", self.marker),
            user: &user(class),
            is_turned: self.is_turned,
            pads: PADS[usize::from(padding)],
        };
        client.request(&said, project_id, key)
    }

    /// What is wrong with the stored body: it must have everything that was sent.
    pub fn fault(&self, body: &[u8]) -> Option<String> {
        let Template { client, class, padding } = self.template;
        let mut parts = vec![self.marker_text(), class_name(class), user(class)];
        parts.extend(client.parts().into_iter().map(str::to_owned));
        parts.extend((0..PADS[usize::from(padding)]).map(|n| format!("{}\"", pad_name(n))));
        let missing = parts.iter().find(|part| find(body, part.as_bytes()).is_none())?;
        Some(format!("{:?} has lost {missing:?}", self.template))
    }

    /// The stored body as it would be with the marker of nobody: the same for all notices of a template whose frames stand alike.
    pub fn without_marker(&self, stored: &StoredBody) -> Vec<u8> {
        let mut body = stored.body.clone();
        let marker = format!("{:032x}", self.marker);
        for own in [Some(marker.as_str()), stored.client_id()].into_iter().flatten() {
            while let Some(at) = find(&body, own.as_bytes()) {
                body[at..at + own.len()].fill(b'-');
            }
        }
        body
    }

    fn marker_text(&self) -> String {
        format!("{MARKER}{:032x}", self.marker)
    }
}

/// The marker of a sample in what is stored of it.
pub fn marker_in(body: &[u8]) -> Option<Uuid> {
    let at = find(body, MARKER.as_bytes())? + MARKER.len();
    std::str::from_utf8(body.get(at..at + 32)?).ok()?.parse().ok()
}

fn class_name(class: u16) -> String {
    format!("Chaos::Failure{class}")
}

fn user(class: u16) -> String {
    format!("user-{class}")
}

/// Where `part` begins in `bytes`.
pub(super) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(part) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
