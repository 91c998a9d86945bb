//! `strftime_now`, which transformers gives to templates.

use std::time::{SystemTime, UNIX_EPOCH};

use super::budget::Outcome;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Now, in universal time, in Python's date format.
pub(super) fn strftime_now(format: &str) -> Outcome<String> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    strftime(format, since_epoch.as_secs())
}

fn strftime(format: &str, epoch_secs: u64) -> Outcome<String> {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let code = letters.next();
        let part = code.and_then(|code| date_part(code, epoch_secs));
        text += &part.ok_or_else(|| unknown_format(format, code))?;
    }
    Ok(text)
}

fn date_part(code: char, epoch_secs: u64) -> Option<String> {
    let days = epoch_secs / 86_400;
    let (year, month, day) = civil_date(days);
    let month_name = MONTHS[month as usize - 1];
    // The first of January 1970 was a Thursday.
    let weekday = DAYS[((days + 4) % 7) as usize];
    Some(match code {
        'Y' => year.to_string(),
        'y' => format!("{:02}", year % 100),
        'm' => format!("{month:02}"),
        'd' => format!("{day:02}"),
        'B' => month_name.to_owned(),
        'b' => month_name[..3].to_owned(),
        'A' => weekday.to_owned(),
        'a' => weekday[..3].to_owned(),
        'H' => format!("{:02}", epoch_secs / 3600 % 24),
        'M' => format!("{:02}", epoch_secs / 60 % 60),
        'S' => format!("{:02}", epoch_secs % 60),
        '%' => "%".to_owned(),
        _ => return None,
    })
}

fn unknown_format(format: &str, letter: Option<char>) -> String {
    let letter = letter.map_or(String::new(), String::from);
    format!("strftime_now({format:?}): %{letter} is not known here")
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
fn civil_date(days: u64) -> (u64, u64, u64) {
    // Years begin in March here, so that a leap day is the last day of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let format = "%A %a %d %B %b %Y-%m-%d %y %H:%M:%S %%";
        // As `date -u -d @1709210096` prints it.
        let expected = "Thursday Thu 29 February Feb 2024-02-29 24 12:34:56 %";
        assert_eq!(strftime(format, 1_709_210_096).unwrap(), expected);
        assert_eq!(strftime("%d %b %Y", 0).unwrap(), "01 Jan 1970");
        assert_eq!(strftime("%a %Y-%m-%d", 4_102_444_799).unwrap(), "Thu 2099-12-31");
        assert!(strftime("%Q", 0).unwrap_err().contains("%Q"));
        assert!(strftime("50%", 0).is_err());
    }
}
