//! What most tests play on: a broker, the place of a sidecar before the demo upstream, and that of an analytics.

use crate::broker::{Broker, all_landed, analytics, sidecar};
use crate::harness::{Place, Upstream, Weir};

pub struct Scene {
    pub broker: Broker,
    pub upstream: Upstream,
    /// The sidecar's.
    pub near: Place,
    /// The analytics'.
    pub far: Place,
    /// `[kafka]` of both.
    pub kafka: String,
}

impl Scene {
    /// With these keys in `[kafka]`.
    pub fn new(keys: &str) -> Scene {
        let broker = Broker::start();
        Scene {
            kafka: broker.section(keys),
            broker,
            upstream: Upstream::start(),
            near: Place::new(),
            far: Place::new(),
        }
    }

    pub fn sidecar(&self) -> Weir<'_> {
        sidecar(&self.near, &self.upstream, &self.kafka)
    }

    pub fn analytics(&self) -> Weir<'_> {
        analytics(&self.far, &self.kafka, &[])
    }

    /// All that the sidecar's journal holds is in the lake, once and unaltered.
    #[track_caller]
    pub fn landed(&self) {
        all_landed(&self.far, &[&self.near]);
    }

    /// An analytics comes, lands all that is left, and goes.
    #[track_caller]
    pub fn land(&self) {
        let lander = self.analytics();
        self.landed();
        lander.stop();
    }
}
