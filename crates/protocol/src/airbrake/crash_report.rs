//! Crash reports of Apple's systems, as airbrake-ios sends them for programs that ended before they could tell.
//!
//! ```text
//! Process:         Shop [4711]
//! Exception Type:  SIGABRT
//! Application Specific Information:
//! *** Terminating app due to uncaught exception 'NSRangeException', reason: 'index 3 beyond bounds'
//!
//! Last Exception Backtrace:
//! 0   CoreFoundation     0x0000000182f6d1b8 __exceptionPreprocess + 124
//!
//! Thread 0 Crashed:
//! 0   Shop               0x00000001000a4c44 -[Cart charge:] + 172
//! ```

use notice::{Error, Frame};

/// Most frames of one stack.
const FRAMES_MAX: usize = 1_000;

/// Reads the report. Without anything that is known, it is the message.
pub(super) fn read(report: &str) -> Error {
    let mut error = Error::default();
    let mut process = None;
    let mut crashed = Vec::new();
    let mut thrown = Vec::new();
    let mut section = Section::Other;
    for line in report.lines() {
        let line = line.trim();
        if let Some((name, value)) = line.split_once(':').map(|(name, value)| (name, value.trim())) {
            match name {
                "Process" => process = value.split(" [").next(),
                "Exception Type" => error.class = Some(value.to_owned()).filter(|class| !class.is_empty()),
                "Exception Codes" | "Exception Subtype" if error.message.is_none() => {
                    error.message = Some(value.to_owned()).filter(|codes| !codes.is_empty());
                }
                _ => {}
            }
            if let Some((class, reason)) = uncaught(line) {
                (error.class, error.message) = (Some(class.to_owned()), Some(reason.to_owned()));
                continue;
            }
        }
        let frames = match section {
            Section::Crashed => &mut crashed,
            Section::Thrown => &mut thrown,
            Section::Other => {
                section = Section::begun_by(line);
                continue;
            }
        };
        match frame(line) {
            Some(frame) if frames.len() < FRAMES_MAX => frames.push(frame),
            Some(_) => {}
            None => section = Section::begun_by(line),
        }
    }
    // Where the program was ended tells less than where the exception was thrown.
    error.frames = if thrown.is_empty() { crashed } else { thrown };
    for frame in &mut error.frames {
        frame.in_app = process.map(|process| frame.module.as_deref() == Some(process));
    }
    if error == Error::default() {
        error.message = Some(report.to_owned());
    }
    error
}

enum Section {
    Crashed,
    Thrown,
    Other,
}

impl Section {
    fn begun_by(line: &str) -> Section {
        match line {
            "Last Exception Backtrace:" => Section::Thrown,
            _ if line.starts_with("Thread ") && line.ends_with(" Crashed:") => Section::Crashed,
            _ => Section::Other,
        }
    }
}

/// `*** Terminating app due to uncaught exception 'NSRangeException', reason: 'index 3 beyond bounds'`
fn uncaught(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("uncaught exception '")?;
    let (class, reason) = rest.split_once("', reason: ")?;
    let reason = reason.strip_prefix('\'').unwrap_or(reason);
    Some((class, reason.strip_suffix('\'').unwrap_or(reason)))
}

/// `0   Shop   0x00000001000a4c44 -[Cart charge:] + 172`
fn frame(line: &str) -> Option<Frame> {
    let (number, rest) = line.split_once(char::is_whitespace)?;
    number.parse::<u32>().ok()?;
    let (image, at) = rest.split_once("0x")?;
    let (address, symbol) = at.split_once(' ').unwrap_or((at, ""));
    let is_address = !address.is_empty() && address.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_address.then(|| Frame {
        module: Some(image.trim().to_owned()).filter(|image| !image.is_empty()),
        function: Some(crate::frame_address::without_offset(symbol).to_owned()).filter(|symbol| !symbol.is_empty()),
        ..Frame::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Incident Identifier: 5A2C\nProcess:         Shop [4711]\nException Type:  SIGABRT\nException Codes: #0 at 0x3aa8\n\
        Crashed Thread:  0\n\nApplication Specific Information:\n\
        *** Terminating app due to uncaught exception 'NSRangeException', reason: 'index 3 beyond bounds'\n\n\
        Last Exception Backtrace:\n0   CoreFoundation   0x0000000182f6d1b8 __exceptionPreprocess + 124\n\
        1   Shop             0x00000001000a4c44 -[Cart charge:] + 172\n\nThread 0 Crashed:\n\
        0   libsystem_kernel.dylib  0x00000001 __pthread_kill + 8\n\nThread 1:\n0   Shop  0x00000002 main + 1\n";

    #[test]
    fn what_was_thrown_is_told_before_where_the_program_ended() {
        let error = read(REPORT);
        assert_eq!(error.class.as_deref(), Some("NSRangeException"));
        assert_eq!(error.message.as_deref(), Some("index 3 beyond bounds"));
        let frames: Vec<_> = error.frames.iter().map(|frame| (frame.function.as_deref(), frame.in_app)).collect();
        assert_eq!(frames, [(Some("__exceptionPreprocess"), Some(false)), (Some("-[Cart charge:]"), Some(true))]);
    }

    #[test]
    fn a_signal_has_the_stack_of_the_thread_that_crashed() {
        let report = REPORT.replace("uncaught", "a").replace("Last Exception", "Some");
        let error = read(&report);
        assert_eq!(error.class.as_deref(), Some("SIGABRT"));
        assert_eq!(error.message.as_deref(), Some("#0 at 0x3aa8"));
        assert_eq!(error.frames.len(), 1);
        assert_eq!(error.frames[0].module.as_deref(), Some("libsystem_kernel.dylib"));
    }

    #[test]
    fn what_is_no_report_is_a_message() {
        assert_eq!(read("it just stopped").message.as_deref(), Some("it just stopped"));
    }
}
