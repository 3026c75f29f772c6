//! What can go wrong between a cart and its payment: `till SCENARIO` panics as the scenario does.

use std::backtrace::Backtrace;

struct Cart {
    card: i64,
}

impl Cart {
    #[inline(never)]
    fn charge(&self, note: &str) {
        panic!("card {} declined by issuer (code 51): {note}", self.card);
    }

    #[inline(never)]
    fn checkout(&self) {
        self.charge("first");
    }
}

trait Till {
    fn pay(&self);
}

impl<T: Fn()> Till for T {
    #[inline(never)]
    fn pay(&self) {
        self();
    }
}

#[inline(never)]
fn descend(depth: u32) -> u32 {
    if depth == 0 {
        let none: Option<u32> = None;
        return none.expect("no end in sight");
    }
    descend(depth - 1) + 1
}

/// An error that says where it was made.
#[inline(never)]
fn captured() -> Backtrace {
    Backtrace::force_capture()
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("simple") => Cart { card: 4000 }.checkout(),
        Some("closure") => (|| Cart { card: 7 }.checkout()).pay(),
        Some("multi_line") => panic!("Zahlung über 47,11 € abgelehnt 💥\n  Grund: 日本語\n\nBitte: noch einmal"),
        Some("recursion") => {
            descend(20);
        }
        Some("thread") => {
            let worker = std::thread::Builder::new().name("till 1".into()).spawn(|| Cart { card: 5 }.checkout());
            let _ = worker.map(|worker| worker.join());
        }
        Some("captured") => eprint!("{}", captured()),
        Some("index") => println!("{}", [1, 2][std::env::args().count()]),
        _ => {}
    }
}
