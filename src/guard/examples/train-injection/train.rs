//! Logistic regression over the windows of texts, one thread, fixed order: the same rows give the
//! same bytes. Nothing here calls a function whose last bit depends on the platform.

use guard::model::features::{self, BUCKETS, Feature, NOTHING, Sink, bucket};
use guard::model::windows::{Best, STEP, Windows};

/// A text as the training sees it.
pub struct Example {
    /// In the order of the text.
    features: Vec<Feature>,
    /// Their buckets.
    buckets: Vec<u32>,
    /// After how many features each step of tokens ends.
    steps: Vec<usize>,
    pub tokens: usize,
    pub label: bool,
    pub weight: f32,
}

impl Sink for Example {
    fn feature(&mut self, feature: Feature) {
        self.features.push(feature);
        self.buckets.push(bucket(feature));
    }

    fn token(&mut self, _end: usize) {
        self.tokens += 1;
        if self.tokens.is_multiple_of(STEP) {
            self.steps.push(self.features.len());
        }
    }
}

impl Example {
    pub fn new(text: &str, label: bool, weight: f32) -> Example {
        let mut example = Example {
            features: Vec::new(),
            buckets: Vec::new(),
            steps: Vec::new(),
            tokens: 0,
            label,
            weight,
        };
        features::visit(text, &mut example);
        example
    }

    /// The window that weighs most; places are features.
    fn best(&self, weights: &[f32]) -> Best {
        let sum = |from: usize, to: usize| -> f32 {
            let buckets = &self.buckets[from..to];
            buckets.iter().map(|b| weights[*b as usize]).sum()
        };
        let mut windows = Windows::default();
        let mut from = 0;
        for end in &self.steps {
            windows.step(sum(from, *end), *end);
            from = *end;
        }
        let end = self.buckets.len();
        windows.close(sum(from, end), self.tokens % STEP, end)
    }
}

/// How the training goes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub epochs: usize,
    pub rate: f32,
    /// Weights shrink by this share each epoch.
    pub decay: f32,
    /// Texts that must hold a feature before it has a say in the weight of its bucket: the many that are
    /// rare would drown the few that are not.
    pub least: u32,
    /// How much more a harmless text counts, the more it looks like an attack.
    pub hard: f32,
    /// What each weight loses each epoch, down to none: texts hit many buckets by chance, and most should say nothing.
    pub lasso: f32,
}

pub const PLAN: Plan = Plan {
    epochs: 15,
    rate: 0.15,
    decay: 0.02,
    least: 5,
    hard: 2.0,
    lasso: 0.02,
};

/// Weights of one training.
pub struct Weights {
    pub values: Vec<f32>,
    pub bias: f32,
}

pub fn train(examples: &[&Example], plan: Plan) -> Weights {
    let frequent = Frequent::of(examples);
    let used: Vec<Vec<bool>> = examples.iter().map(|e| frequent.used(e, plan.least)).collect();
    let mut weights = vec![0.0_f32; BUCKETS];
    let mut squares = vec![1e-3_f32; BUCKETS];
    let mut mean = vec![0.0_f32; BUCKETS];
    let (mut bias, mut bias_square, mut bias_mean) = (0.0_f32, 1e-3_f32, 0.0_f32);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut random = Random(0x5EED);
    let counted = plan.epochs / 2;
    for epoch in 0..plan.epochs {
        random.shuffle(&mut order);
        for index in &order {
            let example = examples[*index];
            let best = example.best(&weights);
            let target = if example.label { 1.0 } else { 0.0 };
            let share = sigmoid(best.value + bias);
            let weight = example.weight * if example.label { 1.0 } else { 1.0 + plan.hard * share };
            let slope = weight * (share - target);
            if slope.abs() < 1e-4 {
                continue;
            }
            bias_square += slope * slope;
            bias -= plan.rate * slope / bias_square.sqrt();
            let each = slope * best.norm;
            let square = each * each;
            let window = best.start..best.end;
            let buckets = example.buckets[window.clone()].iter().zip(&used[*index][window]);
            for (bucket, _) in buckets.filter(|(_, used)| **used) {
                let bucket = *bucket as usize;
                squares[bucket] += square;
                weights[bucket] -= plan.rate * each / squares[bucket].sqrt();
            }
        }
        for weight in &mut weights {
            *weight *= 1.0 - plan.decay;
            *weight -= weight.clamp(-plan.lasso, plan.lasso);
        }
        if epoch >= counted {
            for (mean, weight) in mean.iter_mut().zip(&weights) {
                *mean += weight;
            }
            bias_mean += bias;
        }
    }
    let share = 1.0 / (plan.epochs - counted) as f32;
    mean.iter_mut().for_each(|m| *m *= share);
    Weights {
        values: mean,
        bias: bias_mean * share,
    }
}

/// How many texts hold a feature. So many entries are enough that hardly any two features share one.
struct Frequent(Vec<u32>);

impl Frequent {
    const ENTRIES: usize = 1 << 22;

    fn place((line, slot): Feature) -> usize {
        let name = u64::from(line) << 32 | u64::from(slot);
        (name.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 42) as usize % Self::ENTRIES
    }

    fn of(examples: &[&Example]) -> Frequent {
        let mut counts = vec![(0_u32, u32::MAX); Self::ENTRIES];
        for (index, example) in (0..).zip(examples) {
            for feature in &example.features {
                let (count, last) = &mut counts[Self::place(*feature)];
                if *last != index {
                    *count += 1;
                    *last = index;
                }
            }
        }
        Frequent(counts.into_iter().map(|(count, _)| count).collect())
    }

    /// Which features of a text so many texts hold.
    fn used(&self, example: &Example, least: u32) -> Vec<bool> {
        let frequent = |f: &Feature| *f != NOTHING && self.0[Self::place(*f)] >= least;
        example.features.iter().map(frequent).collect()
    }
}

/// Weights as bytes, and what a byte is worth. The few largest are cut off.
pub fn quantise(weights: &Weights) -> (Vec<u8>, f32) {
    let mut sizes: Vec<f32> = weights.values.iter().map(|w| w.abs()).filter(|w| *w > 0.0).collect();
    sizes.sort_by(f32::total_cmp);
    let largest = sizes.get(sizes.len() * 9995 / 10000).copied().unwrap_or(1.0);
    let scale = largest / 127.0;
    let byte = |w: &f32| (w / scale).round().clamp(-127.0, 127.0) as i8;
    (weights.values.iter().map(|w| byte(w).cast_unsigned()).collect(), scale)
}

/// 1 / (1 + e^-x) to six digits, of additions, multiplications and one division only.
fn sigmoid(x: f32) -> f32 {
    let x = x.clamp(-30.0, 30.0);
    // e^-|x| = (e^(-|x| / 256))^256, the inner one by its series.
    let y = -x.abs() / 256.0;
    let mut power = 1.0 + y * (1.0 + y * (0.5 + y * (1.0 / 6.0 + y / 24.0)));
    for _ in 0..8 {
        power *= power;
    }
    let small = power / (1.0 + power);
    if x >= 0.0 { 1.0 - small } else { small }
}

/// Numbers that look random, always the same ones.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
