//! Stack traces: frames of the application in the open, the rest folded.

use notice::Frame;
use serde_json::Value;
use store::source_maps::Minified;

use super::text::{escaped, shortened};
use super::tree;

/// Frames whose code is open from the start; more are a click away.
const OPEN_MAX: usize = 3;
/// Frames that stand open when none is the application's.
const OPEN_WITHOUT_APP: usize = 5;
/// Frames that are shown at all; the raw JSON has all of them.
const FRAMES_MAX: usize = 250;
/// Columns of a line of code.
const CODE_CHARS_MAX: usize = 240;

/// Neighbouring frames that stand open or are folded together.
pub(crate) struct Run {
    /// What the fold is called; open runs have no name.
    pub(crate) folded: Option<String>,
    pub(crate) frames: Vec<FrameView>,
}

/// One frame as the page shows it.
pub(crate) struct FrameView {
    pub(crate) file: String,
    pub(crate) line: String,
    pub(crate) function: String,
    pub(crate) in_app: bool,
    pub(crate) is_open: bool,
    pub(crate) code: Vec<CodeView>,
    /// Variables as HTML; empty when there are none.
    pub(crate) vars: String,
    /// Where it was before a source map resolved it, as HTML; empty when none did.
    pub(crate) minified: String,
}

impl FrameView {
    /// Whether there is more than a line to show.
    pub(crate) fn has_more(&self) -> bool {
        !self.code.is_empty() || !self.vars.is_empty() || !self.minified.is_empty()
    }
}

/// One line of code around a frame.
pub(crate) struct CodeView {
    pub(crate) number: u32,
    pub(crate) text: String,
    pub(crate) is_here: bool,
}

/// A frame, and where it was before it was resolved.
type Shown<'a> = (&'a Frame, Option<&'a Minified>);

/// Groups frames into runs. `minified` has as many entries as there are frames, or none.
pub(crate) fn runs(frames: &[Frame], minified: &[Option<Minified>]) -> Vec<Run> {
    let has_app = frames.iter().any(|frame| frame.in_app == Some(true));
    let mut open_left = OPEN_MAX;
    let mut runs: Vec<Run> = Vec::new();
    let mut hidden: Vec<(usize, Shown<'_>)> = Vec::new();
    let shown = frames.iter().take(FRAMES_MAX).enumerate();
    for (index, frame) in shown {
        let minified = minified.get(index).and_then(Option::as_ref);
        let stands_open = if has_app { frame.in_app == Some(true) } else { index < OPEN_WITHOUT_APP };
        if !stands_open {
            hidden.push((index, (frame, minified)));
            continue;
        }
        fold(&mut runs, &mut hidden, has_app);
        let is_open = open_left > 0 && !frame.code.is_empty();
        open_left -= usize::from(is_open);
        match runs.last_mut() {
            Some(run) if run.folded.is_none() => run.frames.push(view((frame, minified), is_open)),
            _ => runs.push(Run { folded: None, frames: vec![view((frame, minified), is_open)] }),
        }
    }
    fold(&mut runs, &mut hidden, has_app);
    runs
}

/// Puts the frames that wait to be folded into a run. A single one is not worth a fold, nor is where it was raised.
fn fold(runs: &mut Vec<Run>, hidden: &mut Vec<(usize, Shown<'_>)>, has_app: bool) {
    if hidden.is_empty() {
        return;
    }
    let is_raised_here = hidden[0].0 == 0;
    let mut frames: Vec<FrameView> = hidden.drain(..).map(|(_, frame)| view(frame, false)).collect();
    if frames.len() == 1 || is_raised_here {
        let rest = frames.split_off(1);
        runs.push(Run { folded: None, frames });
        frames = rest;
    }
    if frames.is_empty() {
        return;
    }
    let what = if has_app { "outside the application" } else { "further up" };
    let noun = if frames.len() == 1 { "frame" } else { "frames" };
    runs.push(Run { folded: Some(format!("{} {noun} {what}", frames.len())), frames });
}

fn view((frame, minified): Shown<'_>, is_open: bool) -> FrameView {
    let function = match (frame.module.as_deref(), frame.function.as_deref()) {
        (Some(module), Some(function)) if !function.contains(module) && frame.file.is_some() => {
            format!("{module} {function}")
        }
        (_, Some(function)) => function.to_owned(),
        (Some(module), None) => module.to_owned(),
        (None, None) => String::new(),
    };
    let file = frame.file.clone().or_else(|| frame.module.clone()).unwrap_or_else(|| "unknown file".to_owned());
    let vars = frame
        .vars_json
        .as_deref()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .filter(|vars| !tree::is_empty(vars))
        .map(|vars| tree::tree(&vars))
        .unwrap_or_default();
    FrameView {
        file: breakable(&file.replace("[PROJECT_ROOT]/", "").replace("/PROJECT_ROOT/", "")),
        line: frame.line.filter(|line| *line > 0).map(|line| line.to_string()).unwrap_or_default(),
        function: breakable(&function),
        in_app: frame.in_app == Some(true),
        is_open,
        code: frame
            .code
            .iter()
            .map(|code| CodeView {
                number: code.line,
                text: shortened(code.text.trim_end(), CODE_CHARS_MAX),
                is_here: frame.line == Some(code.line),
            })
            .collect(),
        vars,
        minified: minified.map(place_in_script).unwrap_or_default(),
    }
}

/// `https://shop.example/app.min.js:1:281 in n`
fn place_in_script(minified: &Minified) -> String {
    let place = format!("{}:{}:{}", breakable(&minified.file), minified.line, minified.column);
    match minified.function.as_deref() {
        Some(function) if !function.is_empty() => format!("{place} in {}", breakable(function)),
        _ => place,
    }
}

/// Text as HTML that may be broken after its separators, so that long paths and class names wrap where one would.
pub(crate) fn breakable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        let end = at + letter.len_utf8();
        let is_pair = letter == ':' && text[end..].starts_with(':');
        if matches!(letter, '/' | '\\' | '.' | '#' | ':' | '$') && !is_pair && end < text.len() {
            out.push_str(&escaped(&text[start..end]));
            out.push_str("<wbr>");
            start = end;
        }
    }
    out.push_str(&escaped(&text[start..]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(file: &str, in_app: bool) -> Frame {
        Frame { file: Some(file.into()), in_app: Some(in_app), line: Some(1), ..Frame::default() }
    }

    fn shape(frames: &[Frame]) -> Vec<(bool, usize)> {
        runs(frames, &[]).iter().map(|run| (run.folded.is_some(), run.frames.len())).collect()
    }

    #[test]
    fn the_application_stands_open_and_the_rest_is_folded() {
        let frames: Vec<Frame> =
            [true, true, false, false, false, true, false].into_iter().map(|in_app| frame("a", in_app)).collect();
        assert_eq!(shape(&frames), [(false, 2), (true, 3), (false, 1), (false, 1)]);
    }

    #[test]
    fn where_it_was_raised_is_always_open() {
        let frames: Vec<Frame> = [false, false, false, true].into_iter().map(|in_app| frame("a", in_app)).collect();
        assert_eq!(shape(&frames), [(false, 1), (true, 2), (false, 1)]);
    }

    #[test]
    fn without_frames_of_the_application_the_first_stand_open() {
        let frames: Vec<Frame> = (0..9).map(|_| frame("a", false)).collect();
        assert_eq!(shape(&frames), [(false, 5), (true, 4)]);
        assert!(runs(&[], &[]).is_empty());
    }

    #[test]
    fn paths_break_after_their_separators_and_stay_escaped() {
        assert_eq!(breakable("a/b::C<d>"), "a/<wbr>b::<wbr>C&lt;d&gt;");
        assert_eq!(breakable("it's #1"), "it&#39;s #<wbr>1");
    }
}
