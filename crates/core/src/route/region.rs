//! Where a number is from: province and city by its first digits, from a published data set.
//!
//! The data is a file of the operator's (docs/routing.md says how it is made); nothing of it is in the source.

use crate::number::Number;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A place as the data set names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    /// Province, or the municipality itself.
    pub province: String,
    /// City; empty where the data knows only the province.
    pub city: String,
}

impl Region {
    /// The same city of the same province.
    pub fn same_city(&self, other: &Region) -> bool {
        self == other && !self.city.is_empty()
    }

    /// The same province.
    pub fn same_province(&self, other: &Region) -> bool {
        self.province == other.province
    }
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadRegions {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// The longest beginning that tells places apart: the country code and seven digits.
const MAX_PREFIX: usize = 15;
/// The most lines of a file: three times what China has today.
pub const MAX_REGIONS: usize = 400_000;

/// A table of regions by the beginnings of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    /// Beginnings as numbers, sorted, one list a length; an index into `places` beside each.
    by_length: BTreeMap<u8, Vec<(u64, u32)>>,
    places: Vec<Arc<Region>>,
}

impl Regions {
    /// Reads lines of `beginning,province,city`: the beginning is country code and digits without `+`. Empty lines and
    /// lines that begin with `#` are left out.
    ///
    /// # Errors
    /// The first line that is not of this form, that repeats a beginning, or that is beyond [`MAX_REGIONS`].
    pub fn parse(text: &str) -> Result<Regions, BadRegions> {
        let mut known: BTreeMap<Region, u32> = BTreeMap::new();
        let mut table = Regions::default();
        let mut rows = 0;
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            let bad = |problem| BadRegions {
                line: line_number,
                problem,
            };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            rows += 1;
            if rows > MAX_REGIONS {
                return Err(bad("the file has more lines than the table holds (400,000)"));
            }
            let mut columns = line.split(',').map(str::trim);
            let (Some(prefix), Some(province), city, None) =
                (columns.next(), columns.next(), columns.next(), columns.next())
            else {
                return Err(bad("three columns are expected: beginning, province, city"));
            };
            if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad("the first column is country code and digits without +, at most 15"));
            }
            if province.is_empty() {
                return Err(bad("the second column, the province, is empty"));
            }
            let region = Region {
                province: province.to_owned(),
                city: city.unwrap_or("").to_owned(),
            };
            let index = *known.entry(region).or_insert_with_key(|region| {
                table.places.push(Arc::new(region.clone()));
                table.places.len() as u32 - 1
            });
            let digits = prefix.parse().unwrap_or(0);
            table
                .by_length
                .entry(prefix.len() as u8)
                .or_default()
                .push((digits, index));
        }
        for list in table.by_length.values_mut() {
            list.sort_unstable();
            if list.windows(2).any(|w| w[0].0 == w[1].0) {
                return Err(BadRegions {
                    line: 0,
                    problem: "a beginning is there twice",
                });
            }
            list.shrink_to_fit();
        }
        Ok(table)
    }

    /// Where the number is from, by its longest known beginning; `None` for short numbers and unknown ones.
    pub fn of(&self, number: &Number) -> Option<&Arc<Region>> {
        let digits = number.as_str().strip_prefix('+')?;
        self.by_length.iter().rev().find_map(|(length, list)| {
            let key: u64 = digits.get(..usize::from(*length))?.parse().ok()?;
            let found = list.binary_search_by_key(&key, |(digits, _)| *digits).ok()?;
            self.places.get(list[found].1 as usize)
        })
    }

    /// How many beginnings are known.
    pub fn len(&self) -> usize {
        self.by_length.values().map(Vec::len).sum()
    }

    /// True if nothing is known.
    pub fn is_empty(&self) -> bool {
        self.by_length.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::CHINA;

    const TABLE: &str = "# beginning,province,city\n8610,北京市,\n86755,广东省,深圳市\n8620,广东省,广州市\n\n\
        861390755,广东省,深圳市\n86139,浙江省,\n";

    fn city(table: &Regions, number: &str) -> Option<(String, String)> {
        let found = table.of(&Number::parse(number, CHINA).unwrap())?;
        Some((found.province.clone(), found.city.clone()))
    }

    #[test]
    fn the_longest_beginning_decides() {
        let table = Regions::parse(TABLE).unwrap();
        let pair = |p: &str, c: &str| Some((p.to_owned(), c.to_owned()));
        assert_eq!(city(&table, "0755-12345678"), pair("广东省", "深圳市"));
        assert_eq!(city(&table, "13907551234"), pair("广东省", "深圳市"));
        assert_eq!(city(&table, "13907561234"), pair("浙江省", ""));
        assert_eq!(city(&table, "010-12345678"), pair("北京市", ""));
        for unknown in ["95588", "+12025550100", "13800138000"] {
            assert_eq!(city(&table, unknown), None, "{unknown}");
        }
        assert_eq!(table.len(), 5);
        let place = |p: &str, c: &str| Region {
            province: p.into(),
            city: c.into(),
        };
        assert!(place("广东省", "深圳市").same_city(&place("广东省", "深圳市")));
        assert!(!place("北京市", "").same_city(&place("北京市", "")) && place("a", "b").same_province(&place("a", "")));
    }

    #[test]
    fn bad_lines_are_named() {
        let line = |text: &str| Regions::parse(text).map_err(|e| e.line).err();
        assert_eq!(line("8610,a,b\n+8620,a,b"), Some(2));
        assert_eq!(line("8610"), Some(1));
        assert_eq!(line("8610,,b"), Some(1));
        assert_eq!(line("8610,a,b,c"), Some(1));
        assert_eq!(line("1234567890123456,a,b"), Some(1));
        assert_eq!(line("8610,a,b\n8610,c,d"), Some(0));
        assert_eq!(line(""), None);
    }
}
