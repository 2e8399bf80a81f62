//! Supervisory tones by country, after ITU-T E.180 supplement 2 (China: GB 3380). Where a country modulates its ringing tone
//! or has several, this is the plain one.

use crate::tone::Segment;

/// The tones of a country.
pub struct TonePlan {
    /// ISO 3166-1 alpha-2 code; empty for every country that is not listed.
    pub country: &'static str,
    /// Dial tone.
    pub dial: &'static [Segment],
    /// Ringing tone.
    pub ringback: &'static [Segment],
    /// Busy tone.
    pub busy: &'static [Segment],
    /// Congestion tone: no line is free.
    pub congestion: &'static [Segment],
}

const fn on(millis: u32, first: u16, second: u16) -> Segment {
    Segment::on(millis, first, second)
}

const fn off(millis: u32) -> Segment {
    Segment::off(millis)
}

/// All plans; the last one is the recommendation's own, for every other country.
pub static PLANS: [TonePlan; 26] = [
    TonePlan {
        country: "CN",
        dial: &[on(1000, 450, 0)],
        ringback: &[on(1000, 450, 0), off(4000)],
        busy: &[on(350, 450, 0), off(350)],
        congestion: &[on(700, 450, 0), off(700)],
    },
    TonePlan {
        country: "HK",
        dial: &[on(1000, 350, 440)],
        ringback: &[on(400, 440, 480), off(200), on(400, 440, 480), off(3000)],
        busy: &[on(500, 480, 620), off(500)],
        congestion: &[on(250, 480, 620), off(250)],
    },
    TonePlan {
        country: "TW",
        dial: &[on(1000, 350, 440)],
        ringback: &[on(1000, 440, 480), off(2000)],
        busy: &[on(500, 480, 620), off(500)],
        congestion: &[on(250, 480, 620), off(250)],
    },
    TonePlan {
        country: "SG",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(400, 425, 0), off(200), on(400, 425, 0), off(2000)],
        busy: &[on(750, 425, 0), off(750)],
        congestion: &[on(250, 425, 0), off(250)],
    },
    TonePlan {
        country: "MY",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(400, 425, 0), off(200), on(400, 425, 0), off(2000)],
        busy: &[on(500, 425, 0), off(500)],
        congestion: &[on(250, 425, 0), off(250)],
    },
    TonePlan {
        country: "TH",
        dial: &[on(1000, 400, 0)],
        ringback: &[on(1000, 400, 0), off(4000)],
        busy: &[on(500, 400, 0), off(500)],
        congestion: &[on(300, 400, 0), off(300)],
    },
    TonePlan {
        country: "JP",
        dial: &[on(1000, 400, 0)],
        ringback: &[on(1000, 400, 0), off(2000)],
        busy: &[on(500, 400, 0), off(500)],
        congestion: &[on(500, 400, 0), off(500)],
    },
    TonePlan {
        country: "KR",
        dial: &[on(1000, 350, 440)],
        ringback: &[on(1000, 440, 480), off(2000)],
        busy: &[on(500, 480, 620), off(500)],
        congestion: &[on(300, 480, 620), off(200)],
    },
    TonePlan {
        country: "IN",
        dial: &[on(1000, 400, 0)],
        ringback: &[on(400, 400, 0), off(200), on(400, 400, 0), off(2000)],
        busy: &[on(750, 400, 0), off(750)],
        congestion: &[on(250, 400, 0), off(250)],
    },
    TonePlan {
        country: "AU",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(400, 400, 450), off(200), on(400, 400, 450), off(2000)],
        busy: &[on(375, 425, 0), off(375)],
        congestion: &[on(375, 425, 0), off(375)],
    },
    TonePlan {
        country: "NZ",
        dial: &[on(1000, 400, 0)],
        ringback: &[on(400, 400, 450), off(200), on(400, 400, 450), off(2000)],
        busy: &[on(500, 400, 0), off(500)],
        congestion: &[on(250, 400, 0), off(250)],
    },
    TonePlan {
        country: "US",
        dial: &[on(1000, 350, 440)],
        ringback: &[on(2000, 440, 480), off(4000)],
        busy: &[on(500, 480, 620), off(500)],
        congestion: &[on(250, 480, 620), off(250)],
    },
    TonePlan {
        country: "CA",
        dial: &[on(1000, 350, 440)],
        ringback: &[on(2000, 440, 480), off(4000)],
        busy: &[on(500, 480, 620), off(500)],
        congestion: &[on(250, 480, 620), off(250)],
    },
    TonePlan {
        country: "GB",
        dial: &[on(1000, 350, 440)],
        ringback: &[on(400, 400, 450), off(200), on(400, 400, 450), off(2000)],
        busy: &[on(375, 400, 0), off(375)],
        congestion: &[on(400, 400, 0), off(350), on(225, 400, 0), off(525)],
    },
    TonePlan {
        country: "DE",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(480, 425, 0), off(480)],
        congestion: &[on(240, 425, 0), off(240)],
    },
    TonePlan {
        country: "FR",
        dial: &[on(1000, 440, 0)],
        ringback: &[on(1500, 440, 0), off(3500)],
        busy: &[on(500, 440, 0), off(500)],
        congestion: &[on(250, 440, 0), off(250)],
    },
    TonePlan {
        country: "NL",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(500, 425, 0), off(500)],
        congestion: &[on(250, 425, 0), off(250)],
    },
    TonePlan {
        country: "CH",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(500, 425, 0), off(500)],
        congestion: &[on(200, 425, 0), off(200)],
    },
    TonePlan {
        country: "IT",
        dial: &[on(200, 425, 0), off(200), on(600, 425, 0), off(1000)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(500, 425, 0), off(500)],
        congestion: &[on(200, 425, 0), off(200)],
    },
    TonePlan {
        country: "ES",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1500, 425, 0), off(3000)],
        busy: &[on(200, 425, 0), off(200)],
        congestion: &[
            on(200, 425, 0),
            off(200),
            on(200, 425, 0),
            off(200),
            on(200, 425, 0),
            off(600),
        ],
    },
    TonePlan {
        country: "SE",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(5000)],
        busy: &[on(250, 425, 0), off(250)],
        congestion: &[on(250, 425, 0), off(750)],
    },
    TonePlan {
        country: "RU",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(350, 425, 0), off(350)],
        congestion: &[on(175, 425, 0), off(175)],
    },
    TonePlan {
        country: "BR",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(250, 425, 0), off(250)],
        congestion: &[on(250, 425, 0), off(250)],
    },
    TonePlan {
        country: "MX",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(250, 425, 0), off(250)],
        congestion: &[on(250, 425, 0), off(250)],
    },
    TonePlan {
        country: "ZA",
        dial: &[on(1000, 400, 0)],
        ringback: &[on(400, 400, 450), off(200), on(400, 400, 450), off(2000)],
        busy: &[on(500, 400, 0), off(500)],
        congestion: &[on(250, 400, 0), off(250)],
    },
    TonePlan {
        country: "",
        dial: &[on(1000, 425, 0)],
        ringback: &[on(1000, 425, 0), off(4000)],
        busy: &[on(500, 425, 0), off(500)],
        congestion: &[on(250, 425, 0), off(250)],
    },
];

/// The plan of a country, its code in any case.
pub fn of(country: &str) -> &'static TonePlan {
    let listed = PLANS.iter().find(|p| p.country.eq_ignore_ascii_case(country));
    listed.unwrap_or(&PLANS[PLANS.len() - 1])
}

/// True if the country has a plan of its own.
pub fn is_listed(country: &str) -> bool {
    !country.is_empty() && PLANS.iter().any(|p| p.country.eq_ignore_ascii_case(country))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_country_is_there_once_and_its_tones_are_plausible() {
        for (i, plan) in PLANS.iter().enumerate() {
            assert!(PLANS[i + 1..].iter().all(|p| p.country != plan.country));
            assert_eq!(plan.country.len(), if i + 1 == PLANS.len() { 0 } else { 2 });
            for tone in [plan.dial, plan.ringback, plan.busy, plan.congestion] {
                // E.180: 300-700 Hz; a cadence begins with sound and is over within 7 s.
                assert_ne!(tone[0].frequencies[0], 0);
                for segment in tone {
                    let [first, second] = segment.frequencies;
                    assert!(first == 0 || (300..=700).contains(&first), "{}", plan.country);
                    assert!(second == 0 || (first != 0 && (300..=700).contains(&second)));
                }
                assert!(tone.iter().map(|s| s.millis).sum::<u32>() <= 7_000);
            }
            assert!(plan.ringback.len() > 1 && plan.busy.len() > 1);
        }
    }

    #[test]
    fn a_country_that_is_not_listed_has_the_recommended_tones() {
        assert_eq!(of("gb").country, "GB");
        assert_eq!(of("AQ").country, "");
        assert!(is_listed("cn") && !is_listed("") && !is_listed("AQ"));
    }
}
