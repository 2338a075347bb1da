//! The faults: what can happen, when it does, and what ends it.

use super::Random;
use super::cast::{ANALYTICS, Cast, SIDECARS};
use crate::proxy::Mode;

/// The steps of a landing at which the analytics can die: `docs/specs/landing.md`.
pub const STEPS: [&str; 8] = ["a", "b", "c", "d", "e", "f-written", "f", "g"];

/// One fault, with all that is random about it drawn when it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    KillSidecar,
    FreezeSidecar,
    KillAnalytics,
    /// For longer than the group waits: it wakes up when another lands its partitions.
    FreezeAnalytics,
    /// Both die at this step of a landing.
    KillAt(&'static str),
    KillBroker,
    FreezeBroker,
    Stall,
    Mute,
    Delay,
    Reset,
    Refuse,
    /// Kafka is away and a journal runs full.
    FillJournal,
    FillLake,
}

/// Of these, one comes in every round.
pub const OF_ANALYTICS: [Fault; 2] = [Fault::KillAnalytics, Fault::FreezeAnalytics];
pub const OTHERS: [Fault; 11] = [
    Fault::KillSidecar,
    Fault::FreezeSidecar,
    Fault::KillBroker,
    Fault::FreezeBroker,
    Fault::Stall,
    Fault::Mute,
    Fault::Delay,
    Fault::Reset,
    Fault::Refuse,
    Fault::FillJournal,
    Fault::FillLake,
];

impl Fault {
    pub fn name(self) -> String {
        match self {
            Fault::KillAt(step) => format!("kill at ({step})"),
            Fault::KillSidecar => "kill sidecar".to_owned(),
            Fault::FreezeSidecar => "freeze sidecar".to_owned(),
            Fault::KillAnalytics => "kill analytics".to_owned(),
            Fault::FreezeAnalytics => "freeze analytics".to_owned(),
            Fault::KillBroker => "kill broker".to_owned(),
            Fault::FreezeBroker => "freeze broker".to_owned(),
            Fault::Stall => "stall network".to_owned(),
            Fault::Mute => "lose answers".to_owned(),
            Fault::Delay => "delay network".to_owned(),
            Fault::Reset => "reset connections".to_owned(),
            Fault::Refuse => "refuse connections".to_owned(),
            Fault::FillJournal => "fill journal".to_owned(),
            Fault::FillLake => "fill lake's disk".to_owned(),
        }
    }

    /// What two faults of one round must not both have: who undoes one would undo the other.
    fn place(self) -> u8 {
        match self {
            Fault::KillSidecar | Fault::FreezeSidecar => 0,
            Fault::KillAnalytics | Fault::FreezeAnalytics | Fault::KillAt(_) => 1,
            Fault::KillBroker | Fault::FreezeBroker => 2,
            Fault::FillLake => 3,
            _ => 4,
        }
    }
}

/// A pack of faults that is dealt from: each comes once before any comes twice.
pub struct Pack {
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Pack {
    pub fn new(all: Vec<Fault>) -> Self {
        Self { all, left: Vec::new() }
    }

    /// The next one that goes with those of the round; `None` if none does.
    pub fn deal(&mut self, random: &mut Random, round: &[Fault]) -> Option<Fault> {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            random.shuffle(&mut self.left);
        }
        let fits = |fault: &Fault| round.iter().all(|other| other.place() != fault.place());
        let at = self.left.iter().position(fits)?;
        Some(self.left.remove(at))
    }

    /// Puts one back that did not come about.
    pub fn again(&mut self, fault: Fault) {
        self.left.push(fault);
    }
}

/// A step of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    KillSidecar(usize),
    StartSidecar(usize),
    SignalSidecar(usize, &'static str),
    KillAnalytics(usize),
    StartAnalytics(usize),
    SignalAnalytics(usize, &'static str),
    /// Stops both in good order and starts them with a failpoint.
    Arm(&'static str, u64),
    KillBroker,
    StartBroker,
    FreezeBroker(bool),
    Net(Mode),
    Reset,
    Flood,
    /// Goes on when the journal has refused a call.
    Overflowed,
    FillLake(u64),
    FreeLake,
}

/// When what happens, in milliseconds from the round's begin.
pub fn play(fault: Fault, random: &mut Random) -> Vec<(u64, Act)> {
    let at = 300 + random.below(2_500);
    let a_while = at + 500 + random.below(2_000);
    let sidecar = random.below(SIDECARS as u64) as usize;
    let analytics = random.below(ANALYTICS as u64) as usize;
    match fault {
        Fault::KillSidecar => vec![
            (at, Act::KillSidecar(sidecar)),
            (at + random.below(1_500), Act::StartSidecar(sidecar)),
        ],
        Fault::FreezeSidecar => vec![
            (at, Act::SignalSidecar(sidecar, "STOP")),
            (a_while, Act::SignalSidecar(sidecar, "CONT")),
        ],
        Fault::KillAnalytics => vec![
            (at, Act::KillAnalytics(analytics)),
            (at + random.below(1_500), Act::StartAnalytics(analytics)),
        ],
        Fault::FreezeAnalytics => {
            let wakes = at + 8_500 + random.below(1_500);
            let mut acts = vec![
                (at, Act::SignalAnalytics(analytics, "STOP")),
                (wakes, Act::SignalAnalytics(analytics, "CONT")),
            ];
            // Sometimes who took over dies just then.
            if random.below(3) == 0 {
                let other = (analytics + 1) % ANALYTICS;
                acts.push((wakes + random.below(300), Act::KillAnalytics(other)));
                acts.push((wakes + 1_000, Act::StartAnalytics(other)));
            }
            acts
        }
        Fault::KillAt(step) => vec![(at / 3, Act::Arm(step, 1 + random.below(2)))],
        Fault::KillBroker => vec![(at, Act::KillBroker), (at + random.below(2_000), Act::StartBroker)],
        Fault::FreezeBroker => vec![(at, Act::FreezeBroker(true)), (a_while, Act::FreezeBroker(false))],
        Fault::Stall => cut(at, a_while, Mode::Stall),
        Fault::Mute => cut(at, a_while, Mode::Mute),
        Fault::Delay => cut(at, a_while, Mode::Delay(10 + random.below(150))),
        Fault::Refuse => cut(at, a_while, Mode::Refuse),
        Fault::Reset => vec![(at, Act::Reset), (a_while, Act::Reset)],
        Fault::FillJournal => vec![
            (at, Act::Net(Mode::Refuse)),
            (at, Act::Flood),
            (at + 1, Act::Overflowed),
            (at + 2, Act::Net(Mode::Pass)),
        ],
        Fault::FillLake => vec![(at, Act::FillLake(random.below(96))), (a_while + 1_000, Act::FreeLake)],
    }
}

fn cut(from: u64, to: u64, mode: Mode) -> Vec<(u64, Act)> {
    vec![(from, Act::Net(mode)), (to, Act::Net(Mode::Pass))]
}

/// Does it. `Arm` and `Overflowed` need more than the cast.
pub fn act(cast: &mut Cast, act: Act) {
    match act {
        Act::KillSidecar(index) => cast.sidecars[index].kill(),
        Act::StartSidecar(index) => cast.sidecars[index].start(None),
        Act::SignalSidecar(index, name) => cast.sidecars[index].signal(name),
        Act::KillAnalytics(index) => {
            cast.analytics[index].duplicates();
            cast.analytics[index].kill();
        }
        Act::StartAnalytics(index) => cast.analytics[index].start(None),
        Act::SignalAnalytics(index, name) => cast.analytics[index].signal(name),
        Act::Arm(step, nth) => {
            for role in &mut cast.analytics {
                role.duplicates();
                role.stop_within(std::time::Duration::from_secs(3));
                role.start(Some((step, nth)));
            }
        }
        Act::KillBroker => {
            cast.broker_down = true;
            cast.broker.run("kill", &[]);
        }
        Act::StartBroker => {
            cast.broker.up();
            cast.broker_down = false;
        }
        Act::FreezeBroker(frozen) => {
            cast.broker.run(if frozen { "stop" } else { "cont" }, &[]);
            cast.broker_frozen = frozen;
        }
        Act::Net(mode) => cast.proxy.set(mode),
        Act::Reset => cast.proxy.reset(),
        Act::FillLake(left) => cast.disk.fill(left),
        Act::FreeLake => cast.disk.free(),
        Act::Flood | Act::Overflowed => {}
    }
}
