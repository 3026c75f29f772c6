//! What the gateway does with every body: `cargo bench -p protocol`.

use hot::{hot, samples};
use protocol::{airbrake, hoptoad};

fn main() {
    hot::run([
        hot("parse_xml_4_kb", || hoptoad::parse(samples::XML_4_KB)),
        hot("parse_xml_11_kb", || hoptoad::parse(samples::XML_11_KB)),
        hot("parse_json_4_kb", || airbrake::parse_notice(samples::JSON_4_KB)),
    ]);
}
