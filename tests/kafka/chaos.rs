//! Everything that fails in a data centre, at random, for as long as one likes: two analytics on one lake,
//! three sidecars, a real broker, a real load of calls whose answers are known. After each round of faults
//! everything is healed, and then nothing may be missing, nothing twice, and nothing other than the clients
//! saw it. What is done and checked is described in `docs/reliability.md`.
//!
//! `WEIR_TEST_SEED` repeats the faults and moments of a run; `WEIR_CHAOS_SECONDS` says how long the long one
//! takes (`just chaos 60m`).

mod cast;
mod check;
mod faults;
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use self::cast::{ANALYTICS, Cast, SIDECARS, aborted};
use self::faults::{Act, Fault, OF_ANALYTICS, OTHERS, Pack, STEPS, play};
use self::load::Seen;

/// SplitMix64: the seed of a failed run repeats its moments.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            things.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// Each step of each fault, for those who look for a failure.
fn tell(what: &str) {
    if std::env::var_os("WEIR_CHAOS_VERBOSE").is_some() {
        eprintln!("  {what}");
    }
}

/// What a run did.
#[derive(Default)]
struct Tally {
    rounds: u64,
    faults: BTreeMap<String, u64>,
    calls: usize,
    refused: u64,
    /// Queries answered in the midst of it all.
    reads: u64,
    /// Whole answers whose text a full journal had no room for.
    dropped: usize,
    events: i64,
    duplicates: i64,
    /// Analytics that gave up on a full disk and were started again.
    restarts: u64,
    longest: Duration,
}

struct Run {
    seed: u64,
    random: Random,
    cast: Cast,
    analytics: Pack,
    others: Pack,
    /// Steps of a landing at which one has died in this round.
    reached: BTreeSet<&'static str>,
    begun: Instant,
    tally: Tally,
}

impl Run {
    fn new(steps: usize) -> Self {
        let seed = std::env::var("WEIR_TEST_SEED")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                now.unwrap().as_micros() as u64
            });
        eprintln!("WEIR_TEST_SEED={seed} repeats the faults of this run");
        let mut random = Random(seed);
        let mut at: Vec<Fault> = STEPS.into_iter().map(Fault::KillAt).collect();
        random.shuffle(&mut at);
        at.truncate(steps);
        let mut cast = Cast::new();
        cast.roles().for_each(|role| role.start(None));
        check::settled(&mut cast);
        Self {
            seed,
            random,
            cast,
            analytics: Pack::new(OF_ANALYTICS.into_iter().chain(at).collect()),
            others: Pack::new(OTHERS.to_vec()),
            reached: BTreeSet::new(),
            begun: Instant::now(),
            tally: Tally::default(),
        }
    }

    /// One round of `count` faults, and all checks.
    fn round(&mut self, number: u64, count: usize) {
        let done = catch_unwind(AssertUnwindSafe(|| self.try_round(number, count)));
        if let Err(panic) = done {
            let kept = self.cast.keep(&format!("chaos-{}", self.seed));
            eprintln!("seed {}, round {number}: see {}", self.seed, kept.display());
            resume_unwind(panic);
        }
    }

    fn try_round(&mut self, number: u64, count: usize) {
        let mut faults: Vec<Fault> = self.analytics.deal(&mut self.random, &[]).into_iter().collect();
        while faults.len() < count
            && let Some(fault) = self.others.deal(&mut self.random, &faults)
        {
            faults.push(fault);
        }
        let mut acts: Vec<(u64, Act)> = Vec::new();
        for fault in &faults {
            acts.extend(play(*fault, &mut self.random));
        }
        // Stable: acts of one moment stay in their order.
        acts.sort_by_key(|(at, _)| *at);
        self.cast.disk.was_full = false;
        let app = format!("chaos-{number}");
        let seen = Seen::default();
        let addrs: Vec<String> = self.cast.sidecars.iter().map(|role| role.addr.clone()).collect();
        let asked = Arc::clone(&self.cast.analytics[(number % ANALYTICS as u64) as usize].place);
        let seeds = Random(self.seed ^ (number << 32));
        std::thread::scope(|scope| {
            let (seen, app) = (&seen, app.as_str());
            for (sidecar, addr) in addrs.iter().enumerate() {
                for client in 0..2 {
                    let random = Random(seeds.0 ^ ((sidecar as u64) << 8) ^ client);
                    let floods = sidecar == SIDECARS - 1;
                    scope.spawn(move || load::client(addr, sidecar, floods, app, random, seen));
                }
            }
            let sdk = (number % SIDECARS as u64) as usize;
            let addr = addrs[sdk].as_str();
            scope.spawn(move || load::sdk(addr, sdk, app, seen));
            let asked = &asked;
            let reads = scope.spawn(move || load::reader(asked, seen));
            let missed = catch_unwind(AssertUnwindSafe(|| self.faults(&acts, seen)));
            // Whatever happened: the clients must end for the scope to end.
            seen.stop.store(true, Ordering::Relaxed);
            tell(&format!("{:.1} s: healing", self.begun.elapsed().as_secs_f64()));
            self.heal();
            missed.unwrap_or_else(|panic| resume_unwind(panic));
            self.tally.reads += reads.join().unwrap_or_else(|panic| resume_unwind(panic));
        });
        let mut names = Vec::new();
        for fault in faults {
            match fault {
                // Nobody came that far: another time.
                Fault::KillAt(step) if !self.reached.remove(step) => {
                    names.push(format!("nobody at ({step})"));
                    self.analytics.again(fault);
                    continue;
                }
                Fault::FillLake if !self.cast.disk.can_fill() => continue,
                _ => {}
            }
            names.push(fault.name());
            *self.tally.faults.entry(fault.name()).or_default() += 1;
        }
        self.check(number, &names.join(", "), &app, seen);
    }

    /// Waits until all has arrived, checks it, and tells it in one line.
    fn check(&mut self, number: u64, names: &str, app: &str, seen: Seen) {
        tell(&format!("{:.1} s: all is healed", self.begun.elapsed().as_secs_f64()));
        let recovery = check::settled(&mut self.cast);
        let refused = seen.refused.load(Ordering::Relaxed);
        let calls = seen.into_calls();
        check::whole(&self.cast);
        let dropped = check::as_seen(&self.cast, app, &calls);
        let readers = check::judged(&self.cast);
        let tally = &mut self.tally;
        let events = self.cast.eye.sql_number("select count(*) from events");
        let duplicates = self.cast.analytics.iter_mut().map(cast::Role::duplicates).sum();
        eprintln!(
            "round {number} ({:.0} s): {names}; {} calls, {refused} refused, {dropped} texts dropped; {} events, {} duplicates \
             dropped; recovered in {:.1} s; Weir and {} agree",
            self.begun.elapsed().as_secs_f64(),
            calls.len(),
            events - tally.events,
            duplicates - tally.duplicates,
            recovery.as_secs_f64(),
            readers.join(" and "),
        );
        tally.rounds += 1;
        tally.calls += calls.len();
        tally.refused += refused;
        tally.dropped += dropped;
        (tally.events, tally.duplicates) = (events, duplicates);
        tally.longest = tally.longest.max(recovery);
    }

    fn end(self) {
        let tally = self.tally;
        let faults: Vec<String> = tally
            .faults
            .iter()
            .map(|(name, times)| format!("{name} {times}"))
            .collect();
        eprintln!(
            "seed {}: {} rounds in {:.0} s; {} calls, {} refused, {} texts dropped; {} events, {} duplicates dropped; \
             {} queries meanwhile; {} restarts on a full disk; longest recovery {:.1} s\n{}",
            self.seed,
            tally.rounds,
            self.begun.elapsed().as_secs_f64(),
            tally.calls,
            tally.refused,
            tally.dropped,
            tally.events,
            tally.duplicates,
            tally.reads,
            tally.restarts,
            tally.longest.as_secs_f64(),
            faults.join(", "),
        );
        // A run without load proves nothing.
        assert!(tally.calls as u64 > 10 * tally.rounds, "{} calls", tally.calls);
    }

    /// Does what is due when it is due, and sees that who dies by a fault lives again.
    fn faults(&mut self, acts: &[(u64, Act)], seen: &Seen) {
        let mut begun = Instant::now();
        let last = acts.last().map_or(0, |(at, _)| *at).max(4_500);
        let mut due = acts.iter().peekable();
        let over = |begun: Instant, more: u64| begun.elapsed() > Duration::from_millis(last + more);
        while due.peek().is_some() || !over(begun, 500) || (self.is_armed() && !over(begun, 15_000)) {
            let now = begun.elapsed().as_millis() as u64;
            while let Some((_, act)) = due.next_if(|(at, _)| *at <= now) {
                tell(&format!("{:.1} s: {act:?}", self.begun.elapsed().as_secs_f64()));
                let started = Instant::now();
                match act {
                    Act::Flood => seen.flood.store(true, Ordering::Relaxed),
                    Act::Overflowed => {
                        // One that sleeps fills nothing, and who would wake it waits behind this.
                        if let Some(small) = self.cast.sidecars.last_mut().filter(|small| small.frozen) {
                            small.signal("CONT");
                        }
                        while seen.refused.load(Ordering::Relaxed) == 0 {
                            assert!(
                                started.elapsed() < Duration::from_secs(40),
                                "the journal never ran full"
                            );
                            self.supervise();
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        seen.flood.store(false, Ordering::Relaxed);
                    }
                    act => faults::act(&mut self.cast, *act),
                }
                // What takes its time (a broker that starts) must not shorten what lies open.
                begun += started.elapsed();
            }
            self.supervise();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether somebody is still to die at a step that nobody has died at in this round.
    fn is_armed(&self) -> bool {
        self.reached.is_empty() && self.cast.analytics.iter().any(|role| role.armed.is_some())
    }

    /// As an orchestrator does: who has ended is started again. Who had no reason to end is a failure.
    fn supervise(&mut self) {
        let full = self.cast.disk.was_full;
        for role in self.cast.roles() {
            let armed = role.armed;
            let Some(status) = role.ended() else { continue };
            match armed {
                Some(step) if aborted(status) => {
                    self.reached.insert(step);
                }
                _ if full && role.name.starts_with("analytics") => self.tally.restarts += 1,
                _ => panic!("{} ended by itself: {status}", role.name),
            }
            role.start(None);
        }
    }

    /// Everything as it should be, but for what still has to arrive.
    fn heal(&mut self) {
        let cast = &mut self.cast;
        cast.heal();
        for role in cast.roles() {
            // Nobody came to that step.
            if role.armed.is_some() {
                role.kill();
            }
            if role.frozen {
                role.signal("CONT");
            }
            role.start(None);
        }
    }
}

/// Every kind of fault once, and some of the steps of a landing; the long run has all of them.
#[test]
fn short() {
    let mut run = Run::new(4);
    for number in 1..=6 {
        run.round(number, 3);
    }
    run.end();
}

/// As long as one likes: `just chaos 60m`.
#[test]
#[ignore = "takes as long as one likes; `just chaos 60m` runs it"]
fn long() {
    let seconds = std::env::var("WEIR_CHAOS_SECONDS").ok().and_then(|s| s.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(600));
    let mut run = Run::new(STEPS.len());
    let mut number = 0;
    while Instant::now() < until {
        number += 1;
        let count = 3 + run.random.below(2) as usize;
        run.round(number, count);
    }
    run.end();
}
