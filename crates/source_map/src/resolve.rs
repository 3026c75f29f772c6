//! What maps say, put into the frames of a notice.

use std::collections::HashSet;

use notice::{Frame, Notice};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{SourceMap, address};

/// Most scripts of one notice whose maps are looked for.
const SCRIPTS_MAX: usize = 50;

/// Endings of files that are scripts, for clients that do not say the language.
const EXTENSIONS: [&str; 5] = ["js", "mjs", "cjs", "bundle", "jsbundle"];

/// Names that say that a function has none.
const NAMELESS: [&str; 7] = ["", "?", "<anonymous>", "<unknown>", "anonymous", "(anonymous)", "(anonymous function)"];

/// A script that frames lie in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Script {
    /// Its address, as the frames have it.
    pub file: String,
    /// Which build of it, if the client says so.
    pub debug_id: Option<Uuid>,
}

/// Where a frame was before it was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minified {
    /// The script.
    pub file: String,
    /// The function, as the script calls it.
    pub function: Option<String>,
    /// The line in the script.
    pub line: u32,
    /// The column in the script.
    pub column: u32,
}

/// What became of the frames of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// The script.
    pub script: Script,
    /// The map that resolved them, or was found and could not.
    pub map: Option<String>,
    /// What the map was found by: `debug id` or `release`.
    pub by: Option<&'static str>,
    /// How many frames were resolved.
    pub frame_count: usize,
    /// What is missing or wrong, in a sentence for whoever wonders.
    pub problem: Option<String>,
}

/// What was resolved in a notice, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Where each frame of each error was; `None` for those that stayed.
    pub minified: Vec<Vec<Option<Minified>>>,
    /// Each script of the notice.
    pub scripts: Vec<Fate>,
}

impl Resolution {
    /// Adds to the notice's JSON: `minified` to each frame that was resolved, `source_maps` to the notice.
    pub fn add_to_json(&self, notice: &mut Value) {
        for (error, minified) in self.minified.iter().enumerate() {
            for (frame, minified) in minified.iter().enumerate() {
                let pointer = format!("/errors/{error}/frames/{frame}");
                if let (Some(minified), Some(Value::Object(frame))) = (minified, notice.pointer_mut(&pointer)) {
                    let was = json!({
                        "file": minified.file,
                        "function": minified.function,
                        "line": minified.line,
                        "column": minified.column,
                    });
                    frame.insert("minified".to_owned(), was);
                }
            }
        }
        let scripts = self.scripts.iter().map(|fate| {
            json!({
                "script": fate.script.file,
                "debug_id": fate.script.debug_id,
                "map": fate.map,
                "found_by": fate.by,
                "frame_count": fate.frame_count,
                "problem": fate.problem,
            })
        });
        if let Value::Object(notice) = notice {
            notice.insert("source_maps".to_owned(), scripts.collect());
        }
    }
}

/// Whether the notice has frames that a map could resolve.
#[must_use]
pub fn is_javascript(notice: &Notice) -> bool {
    notice.errors.iter().any(|error| error.frames.iter().any(|frame| is_of_script(frame, notice)))
}

/// A notice while maps are applied to it, one script after the other, so that no two maps need be there at once.
#[derive(Debug)]
pub struct Resolver {
    notice: Notice,
    resolution: Resolution,
    /// What the caller of each frame says that it called.
    called: Vec<Vec<Option<String>>>,
}

impl Resolver {
    /// Begins with a notice as it came.
    #[must_use]
    pub fn new(notice: Notice) -> Resolver {
        let frame_counts = || notice.errors.iter().map(|error| error.frames.len());
        let minified = frame_counts().map(|count| vec![None; count]).collect();
        let called = frame_counts().map(|count| vec![None; count]).collect();
        Resolver { resolution: Resolution { minified, scripts: Vec::new() }, called, notice }
    }

    /// The scripts that its frames lie in, each once.
    #[must_use]
    pub fn scripts(&self) -> Vec<Script> {
        let images = notice::script_images(&self.notice);
        let mut seen = HashSet::new();
        let mut scripts = Vec::new();
        let frames = self.notice.errors.iter().flat_map(|error| &error.frames);
        for frame in frames.filter(|frame| is_of_script(frame, &self.notice)) {
            let file = frame.file.as_deref().unwrap_or_default();
            if scripts.len() < SCRIPTS_MAX && seen.insert(file) {
                let debug_id = images.iter().find(|(code_file, _)| code_file == file).map(|(_, id)| *id);
                scripts.push(Script { file: file.to_owned(), debug_id });
            }
        }
        scripts
    }

    /// Applies the map of a script to its frames. `name` is what the map is called, `by` what it was found by.
    pub fn apply(&mut self, script: Script, map: &SourceMap, name: &str, by: &'static str) {
        let mut frame_count = 0;
        for at in self.frames_of(&script) {
            frame_count += usize::from(self.resolve(at, map));
        }
        let problem = (frame_count == 0)
            .then(|| "the map has no place for any of the lines and columns: it is of another build".to_owned());
        self.resolution.scripts.push(Fate { script, map: Some(name.to_owned()), by: Some(by), frame_count, problem });
    }

    /// Puts down that a script has no map, or one that cannot be used.
    pub fn lacks(&mut self, script: Script, problem: String) {
        self.resolution.scripts.push(Fate { script, map: None, by: None, frame_count: 0, problem: Some(problem) });
    }

    /// Puts down that the map of a script cannot be read; the notice gets a note of it.
    pub fn cannot_read(&mut self, script: Script, name: &str, by: &'static str, reason: &str) {
        let problem = format!("the source map {name} cannot be used: {reason}");
        self.notice.notes.push(format!("{problem}; the frames of {} are as they came", script.file));
        let fate = Fate { script, map: Some(name.to_owned()), by: Some(by), frame_count: 0, problem: Some(problem) };
        self.resolution.scripts.push(fate);
    }

    /// The notice with its frames resolved, and what was done.
    #[must_use]
    pub fn finish(mut self) -> (Notice, Resolution) {
        for ((error, minified), called) in self.notice.errors.iter_mut().zip(&self.resolution.minified).zip(self.called)
        {
            for ((frame, minified), called) in error.frames.iter_mut().zip(minified).zip(called) {
                let is_as_it_came = minified.as_ref().is_some_and(|minified| minified.function == frame.function);
                if is_as_it_came && called.is_some() {
                    frame.function = called;
                }
            }
        }
        (self.notice, self.resolution)
    }

    /// Frames of a script that were not resolved yet: error and place.
    fn frames_of(&self, script: &Script) -> Vec<(usize, usize)> {
        let errors = self.notice.errors.iter().enumerate();
        let frames =
            errors.flat_map(|(error, e)| e.frames.iter().enumerate().map(move |(at, frame)| (error, at, frame)));
        frames
            .filter(|(error, at, frame)| {
                frame.file.as_deref() == Some(&script.file)
                    && self.resolution.minified[*error][*at].is_none()
                    && is_of_script(frame, &self.notice)
            })
            .map(|(error, at, _)| (error, at))
            .collect()
    }

    /// Resolves a frame, and hears what it says of the one that it called.
    fn resolve(&mut self, (error, at): (usize, usize), map: &SourceMap) -> bool {
        let minified = &mut self.resolution.minified[error];
        let frames = &mut self.notice.errors[error].frames;
        let frame = &frames[at];
        let (Some(line), Some(column)) = (frame.line, frame.column) else { return false };
        let Some(original) = map.original(line, column) else { return false };
        if let Some(inner) = at.checked_sub(1) {
            // The inner frame may have its name from its own map already; what it was called before is what counts.
            let name = match &minified[inner] {
                Some(was) => was.function.as_deref(),
                None => frames[inner].function.as_deref(),
            };
            let called = own_name(name).and_then(|name| map.called(line, column, name));
            self.called[error][inner] = called.map(str::to_owned);
        }
        let frame = &mut frames[at];
        let was =
            Minified { file: frame.file.take().unwrap_or_default(), function: frame.function.clone(), line, column };
        let defined = own_name(was.function.as_deref()).and_then(|name| map.function(line, column, name));
        if let Some(defined) = defined {
            frame.function = Some(defined.to_owned());
        }
        let code = map.code(&original);
        if !code.is_empty() {
            frame.code = code;
        } else {
            frame.code.clear(); // what the client sent is of the script
        }
        frame.file = Some(original.file.to_owned());
        frame.module = None;
        (frame.line, frame.column) = (Some(original.line), Some(original.column));
        if notice::is_library_path(original.file) {
            frame.in_app = Some(false);
        }
        minified[at] = Some(was);
        true
    }
}

fn is_of_script(frame: &Frame, notice: &Notice) -> bool {
    let (Some(file), Some(1..), Some(1..)) = (frame.file.as_deref(), frame.line, frame.column) else { return false };
    let is_script = || {
        let path = file.split(['?', '#']).next().unwrap_or(file);
        path.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
    };
    let is_javascript = notice.language.as_deref().is_some_and(|language| language.eq_ignore_ascii_case("javascript"));
    (is_javascript || is_script()) && !notice::is_library_path(file) && !address::names(file).is_empty()
}

/// The name of a function without what stands before it: `async Cart.n` → `n`. `None` if it has none.
fn own_name(function: Option<&str>) -> Option<&str> {
    let function = function?.split(" [as ").next()?.trim();
    let name = function.rsplit(['.', ' ', '/', '#']).next()?;
    (!NAMELESS.contains(&function) && !NAMELESS.contains(&name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::own_name;

    #[test]
    fn a_function_is_known_by_its_last_name() {
        for (function, expected) in [
            ("n", Some("n")),
            ("async Cart.n", Some("n")),
            ("new n", Some("n")),
            ("Object.n [as pay]", Some("n")),
            ("?", None),
            ("<anonymous>", None),
            ("HTMLButtonElement.<anonymous>", None),
            ("", None),
        ] {
            assert_eq!(own_name(Some(function)), expected, "{function}");
        }
    }
}
