//! `exceptions`: the raised one and its causes.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{CodeLine, Error, Frame};

use crate::json::{number, part, set};
use crate::raw_stack;
use crate::unmapped::Unmapped;
use crate::{code, frame_address};

/// What Flutter's client calls every function of a program whose names were taken out.
const DART_SNAPSHOTS: [&str; 2] = ["_kDartIsolateSnapshotInstructions", "_kDartVmSnapshotInstructions"];

/// Reads the chain. Every entry becomes an error, so that their number stays what it was.
pub(super) fn read<'a>(exceptions: Vec<Tree<'a>>, path: &str, unmapped: &mut Unmapped<'a>) -> Vec<Error> {
    let paths = (0..).map(|at| format!("{path}.exceptions[{at}]"));
    exceptions.into_iter().zip(paths).map(|(exception, path)| read_exception(exception, &path, unmapped)).collect()
}

fn read_exception<'a>(exception: Tree<'a>, path: &str, unmapped: &mut Unmapped<'a>) -> Error {
    let mut error = Error::default();
    let mut again = None;
    for (key, value) in unmapped.entries(path, exception) {
        match (&*key, value) {
            ("errorClass", value) if set(&mut error.class, &value) => {}
            ("message", value) if set(&mut error.message, &value) => {}
            // JavaScript's clients say the message under this name as well.
            ("errorMessage", value) => again = Some(value),
            ("stacktrace", Tree::List(frames)) => {
                error.frames = frames
                    .into_iter()
                    .enumerate()
                    .map(|(at, frame)| read_frame(frame, format!("{path}.stacktrace[{at}]"), unmapped))
                    .collect();
            }
            ("stacktrace", Tree::Text(text)) => {
                raw_stack::read(text, format!("{path}.stacktrace"), &mut error, unmapped);
            }
            // Which of a client's languages it comes from: `nodejs`, `browserjs`, `android`, `cocoa`, `c`.
            ("type", value) if value.scalar().is_some() => {
                error.mechanism_json = part(Some(Tree::Map(vec![(Cow::Borrowed("type"), value)])));
            }
            (key, value) => unmapped.add(format!("{path}.{key}"), value),
        }
    }
    if let Some(again) = again.filter(|again| again.scalar().is_none_or(|text| error.message.as_deref() != Some(text)))
    {
        unmapped.add(format!("{path}.errorMessage"), again);
    }
    error
}

/// What is said of a frame of compiled code.
#[derive(Default)]
struct Compiled {
    address: Option<u64>,
    image_from: Option<u64>,
    image: Option<String>,
}

impl Compiled {
    fn look_at(&mut self, key: &str, value: &Tree<'_>) {
        let number = || value.scalar().and_then(frame_address::address);
        match key {
            "frameAddress" => self.address = number(),
            "loadAddress" | "machoLoadAddress" => self.image_from = number(),
            "machoFile" => self.image = value.scalar().map(str::to_owned),
            _ => {}
        }
    }

    /// Names a function without a name by where it lies in its image, which is the same in each run. An image is no file of source: that is given
    /// back, as Android's have another path on each device.
    fn name<'a>(self, frame: &mut Frame) -> Option<(Cow<'a, str>, Tree<'a>)> {
        let address = self.address?;
        let is_no_name = |name: &str| frame_address::address(name).is_some() || DART_SNAPSHOTS.contains(&name);
        let image_file = frame.file.take_if(|file| [".so", ".apk", ".dylib"].iter().any(|end| file.ends_with(end)));
        if frame.function.as_deref().is_none_or(is_no_name)
            && let Some(image) = self.image.as_deref().or(image_file.as_deref()).or(frame.function.as_deref())
        {
            // Flutter's addresses count from the beginning of the image already.
            let offset = self.image_from.and_then(|from| address.checked_sub(from)).unwrap_or(address);
            frame.function = Some(frame_address::place(image, offset));
        }
        Some((Cow::Borrowed("file"), Tree::Text(Cow::Owned(image_file?))))
    }
}

fn read_frame<'a>(value: Tree<'a>, path: String, unmapped: &mut Unmapped<'a>) -> Frame {
    let mut frame = Frame::default();
    let mut compiled = Compiled::default();
    let mut line_of_code = None;
    // Addresses of compiled code, mostly.
    let mut rest = Vec::new();
    for (key, value) in unmapped.entries(&path, value) {
        let is_taken = match (&*key, &value) {
            ("file", value) => set(&mut frame.file, value),
            ("method", value) => set(&mut frame.function, value),
            ("lineNumber", value) => number(&mut frame.line, value),
            ("columnNumber", value) => number(&mut frame.column, value),
            ("inProject", Tree::Bool(flag)) => {
                frame.in_app = Some(*flag);
                true
            }
            ("code", Tree::Map(_)) => {
                let Tree::Map(lines) = value else { continue };
                let rest_of_it = code::read(lines, &mut frame.code);
                rest.push((key, Tree::Map(rest_of_it)));
                continue;
            }
            ("code", Tree::Text(_)) => set(&mut line_of_code, &value),
            _ => {
                compiled.look_at(&key, &value);
                false
            }
        };
        if !is_taken {
            rest.push((key, value));
        }
    }
    rest.extend(compiled.name(&mut frame));
    if let Some(text) = line_of_code {
        frame.code.push(CodeLine { line: frame.line.unwrap_or_default(), text });
    }
    rest.retain(|(_, value)| !value.is_empty());
    unmapped.add(path, Tree::Map(rest));
    frame
}
