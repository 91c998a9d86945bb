//! Units and other words behind a number.

/// Units under all their names; numbers of different rows are different.
const UNITS: [&[&str]; 40] = [
    &["mm", "millimeter", "millimeters", "millimetre", "millimetres"],
    &["cm", "centimeter", "centimeters", "centimetre", "centimetres"],
    &["dm", "decimeter", "decimeters"],
    &["m", "meter", "meters", "metre", "metres"],
    &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    &["in", "inch", "inches"],
    &["ft", "foot", "feet"],
    &["yd", "yard", "yards"],
    &["mi", "mile", "miles"],
    &["mg", "milligram", "milligrams"],
    &["g", "gram", "grams"],
    &["kg", "kilogram", "kilograms"],
    &["lb", "lbs", "pound", "pounds"],
    &["oz", "ounce", "ounces"],
    &["ton", "tons", "tonne", "tonnes"],
    &["ml", "milliliter", "milliliters", "millilitre", "millilitres"],
    &["l", "liter", "liters", "litre", "litres"],
    &["gal", "gallon", "gallons"],
    &["ms", "millisecond", "milliseconds"],
    &["s", "sec", "second", "seconds"],
    &["min", "minute", "minutes"],
    &["h", "hr", "hrs", "hour", "hours"],
    &["day", "days"],
    &["week", "weeks"],
    &["month", "months"],
    &["year", "years", "yr", "yrs"],
    &["mph"],
    &["hz", "hertz"],
    &["w", "watt", "watts"],
    &["kw", "kilowatt", "kilowatts"],
    &["j", "joule", "joules"],
    &["kj", "kilojoule", "kilojoules"],
    &["v", "volt", "volts"],
    &["radian", "radians", "rad"],
    &["cent", "cents"],
    &["dollar", "dollars", "usd"],
    &["euro", "euros", "eur"],
    &["yuan", "rmb"],
    &["rupee", "rupees"],
    &["yen"],
];

/// Numbers in words, their multiples and parts: they make another number of the one before them.
const NUMBERS: [&str; 49] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "hundreds",
    "thousand",
    "thousands",
    "million",
    "millions",
    "billion",
    "billions",
    "trillion",
    "trillions",
    "half",
    "halves",
    "third",
    "thirds",
    "quarter",
    "quarters",
    "dozen",
    "dozens",
    "k",
    "lakh",
    "crore",
];
/// Words that make something else of a number than itself with a unit.
const OTHERS: [&str; 26] = [
    "plus",
    "minus",
    "times",
    "over",
    "divided",
    "multiplied",
    "squared",
    "cubed",
    "factorial",
    "to",
    "than",
    "less",
    "more",
    "least",
    "most",
    "by",
    "not",
    "or",
    "and",
    "base",
    "mod",
    "recurring",
    "repeating",
    "where",
    "if",
    "for",
];

/// A number in words, as the base in `204_{\text{five}}`.
pub(super) fn number_word(word: &str) -> Option<u32> {
    let at = NUMBERS.iter().take(21).position(|number| *number == word)?;
    u32::try_from(at).ok()
}

/// Whether a word behind a number may be its unit.
pub(super) fn may_be_unit(word: &str) -> bool {
    let word = word.to_lowercase();
    let multiplies = word.contains(|c| "十百千万亿萬億兆만억".contains(c));
    !multiplies && !NUMBERS.contains(&word.as_str()) && !OTHERS.contains(&word.as_str())
}

/// Whether a word of two letters or more is a unit that we know.
pub(super) fn is_named_unit(word: &str) -> bool {
    let word = word.to_lowercase();
    word.len() > 1 && UNITS.iter().any(|names| names.contains(&word.as_str()))
}

/// Whether two units are known to differ, as hours and minutes do.
pub(super) fn differ(ours: &str, theirs: &str) -> bool {
    let row = |unit: &str| {
        let unit = unit.to_lowercase();
        UNITS.iter().position(|names| names.contains(&unit.as_str()))
    };
    matches!((row(ours), row(theirs)), (Some(ours), Some(theirs)) if ours != theirs)
}
