//! Prices that depend on the hour of the day.

use super::Rates;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// Other prices at some hours of the week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffPeak {
    /// The prices at those hours.
    pub rates: Rates,
    /// The hours, in UTC.
    pub windows: Vec<Window>,
}

/// Hours that are the same on several days of the week, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Bit 0 is Monday, bit 6 Sunday.
    pub weekdays: u8,
    /// First minute of the day.
    pub from: u16,
    /// Minute after the last, 1440 at most.
    pub to: u16,
}

impl OffPeak {
    /// Whether these prices hold throughout a call; `None` if they begin or end within it, since
    /// providers differ in which end of a call counts. Times are seconds of the Unix epoch.
    pub(super) fn holds(&self, started: i64, ended: i64) -> Option<bool> {
        // No schedule changes within a minute, so that every minute tells all.
        const LONGEST: i64 = 1440;
        let (first, last) = (started.div_euclid(MINUTE), ended.max(started).div_euclid(MINUTE));
        if last - first > LONGEST {
            return None;
        }
        let held = self.at(first * MINUTE);
        (first..=last)
            .all(|minute| self.at(minute * MINUTE) == held)
            .then_some(held)
    }

    fn at(&self, unix: i64) -> bool {
        // The epoch began on a Thursday.
        let weekday = (unix.div_euclid(DAY) + 3).rem_euclid(7);
        let minute = unix.rem_euclid(DAY) / MINUTE;
        self.windows.iter().any(|window| {
            (window.weekdays >> weekday) & 1 == 1 && (i64::from(window.from)..i64::from(window.to)).contains(&minute)
        })
    }

    /// `12345:0-60,240-360;67:0-1440`: weekdays from Monday as 1, and minutes of the day.
    pub(super) fn windows(text: &str) -> Option<Vec<Window>> {
        let mut windows = Vec::new();
        for group in text.split(';') {
            let (days, spans) = group.split_once(':')?;
            let weekdays = days.bytes().try_fold(0u8, |mask, day| match day {
                b'1'..=b'7' => Some(mask | 1 << (day - b'1')),
                _ => None,
            })?;
            for span in spans.split(',') {
                let (from, to) = span.split_once('-')?;
                let (from, to) = (from.parse().ok()?, to.parse().ok().filter(|to| *to <= 1440)?);
                windows.push(Window { weekdays, from, to });
            }
        }
        Some(windows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_the_week() {
        let windows = OffPeak::windows("12345:0-60,600-1440;67:0-1440").unwrap();
        let off = OffPeak {
            windows,
            ..OffPeak::default()
        };
        // 2026-11-20 was a Friday.
        let friday = 1_795_132_800;
        let hour = 3600;
        for (from, to, held) in [
            (friday, friday + 59 * 60, Some(true)),
            (friday, friday + hour, None),
            (friday + hour, friday + 2 * hour, Some(false)),
            (friday + 10 * hour - 1, friday + 10 * hour - 1, Some(false)),
            (friday + 10 * hour, friday + 24 * hour, Some(true)),
            // Saturday and Sunday, then Monday at one.
            (friday + 26 * hour, friday + 27 * hour, Some(true)),
            (friday + 73 * hour, friday + 73 * hour, Some(false)),
            (friday + 30 * hour, friday + 60 * hour, None),
            // A clock that went back.
            (friday + 2 * hour, friday, Some(false)),
        ] {
            assert_eq!(off.holds(from, to), held, "{} to {}", from - friday, to - friday);
        }
        for wrong in ["", "8:0-1", "1:0", "1:0-1441", "1:a-b"] {
            assert_eq!(OffPeak::windows(wrong), None, "{wrong}");
        }
    }
}
