//! Makes pictures of the pages with real notices in them: `cargo run -p tests --bin screenshots -- FOLDER`.
//!
//! Every page is taken light and dark, wide and narrow. It fails when one scrolls to the side, has text of too little contrast, or
//! an error in its console; the pictures are written all the same.

use std::path::PathBuf;
use std::process::ExitCode;

use tests::Installation;
use tests::browser::{Browser, Scheme, Scripts, Size};
use tests::tour;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: screenshots FOLDER");
        return ExitCode::from(2);
    };
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let croak = Installation::running().await;
    let stops = tour::prepare(&croak).await;
    let browser = Browser::start(Scripts::On).await;
    let mut fault_count = 0;
    let outside = tour::outside();
    for (number, stop) in outside.iter().chain(&stops).enumerate() {
        if number == outside.len() {
            browser.sign_in(croak.web_address()).await;
        }
        for (size, scheme) in [
            (Size::WIDE, Scheme::Light),
            (Size::WIDE, Scheme::Dark),
            (Size::NARROW, Scheme::Light),
            (Size::NARROW, Scheme::Dark),
        ] {
            browser.view(size, scheme).await;
            browser.open(&format!("http://{}{}", croak.web_address(), stop.path)).await;
            let file = folder.join(format!("{}-{}-{}.png", stop.name, scheme.name(), size.width));
            browser.screenshot(&file).await;
            println!("{}", file.display());
            for fault in browser.faults().await {
                fault_count += 1;
                println!("  {fault}");
            }
        }
    }
    browser.close().await;
    println!("{fault_count} faults");
    if fault_count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
