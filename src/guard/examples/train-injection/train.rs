//! Logistic regression over the windows of texts, one thread, fixed order: the same rows give the
//! same bytes. Nothing here calls a function whose last bit depends on the platform.

use guard::model::features::{self, BUCKETS, NOTHING, Sink};
use guard::model::windows::{Best, STEP, Windows};

/// A text as the training sees it.
pub struct Example {
    /// Buckets, in the order of the text.
    features: Vec<u32>,
    /// After how many features each step of tokens ends.
    steps: Vec<usize>,
    pub tokens: usize,
    pub label: bool,
    pub weight: f32,
}

impl Sink for Example {
    fn feature(&mut self, bucket: u32) {
        self.features.push(bucket);
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
            let features = &self.features[from..to];
            features.iter().map(|f| weights[*f as usize]).sum()
        };
        let mut windows = Windows::default();
        let mut from = 0;
        for end in &self.steps {
            windows.step(sum(from, *end), *end);
            from = *end;
        }
        let end = self.features.len();
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
    /// Texts that must hold a bucket before it gets a weight.
    pub least: u32,
}

pub const PLAN: Plan = Plan {
    epochs: 15,
    rate: 0.15,
    decay: 0.02,
    least: 2,
};

/// Weights of one training.
pub struct Weights {
    pub values: Vec<f32>,
    pub bias: f32,
}

pub fn train(examples: &[&Example], plan: Plan) -> Weights {
    let mut used = frequent(examples, plan.least);
    used[NOTHING as usize] = false;
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
            let slope = example.weight * (sigmoid(best.value + bias) - target);
            if slope.abs() < 1e-4 {
                continue;
            }
            bias_square += slope * slope;
            bias -= plan.rate * slope / bias_square.sqrt();
            let each = slope * best.norm;
            let square = each * each;
            for feature in &example.features[best.start..best.end] {
                let feature = *feature as usize;
                if used[feature] {
                    squares[feature] += square;
                    weights[feature] -= plan.rate * each / squares[feature].sqrt();
                }
            }
        }
        for weight in &mut weights {
            *weight *= 1.0 - plan.decay;
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

/// Buckets that occur in at least so many texts.
fn frequent(examples: &[&Example], least: u32) -> Vec<bool> {
    let mut counts = vec![(0_u32, u32::MAX); BUCKETS];
    for (index, example) in (0..).zip(examples) {
        for feature in &example.features {
            let (count, last) = &mut counts[*feature as usize];
            if *last != index {
                *count += 1;
                *last = index;
            }
        }
    }
    counts.into_iter().map(|(count, _)| count >= least).collect()
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
