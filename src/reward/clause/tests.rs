//! What texts state, by the kind of what they hold besides a number.

use crate::reward::stated::stated;

fn check(texts: &[&str], expected: Option<f64>) {
    for text in texts {
        assert_eq!(stated(text).map(|number| number.value()), expected, "{text}");
    }
}

#[test]
fn an_operation_states_none() {
    check(
        &[
            "2+8",
            "228*8",
            r"2 \times 8",
            "2**8",
            "10^(8)",
            "10^-8",
            "3 × 8",
            "3 ÷ 8",
            "3 · 8",
            "3 − 8",
            "8 + x",
            "8 - x",
            "8 * x",
            "8*x",
            "length * 8",
            "12-8",
            "-(8)",
            "2(8)",
            "(8)x",
            "3 ± 8",
            r"\pm 8",
            r"8 \pm 3",
            "8 plus x",
            "8 apples plus x",
            "10 choose 8",
            "5 mod 8",
            "10C8",
            "divided by 8",
        ],
        None,
    );
}

#[test]
fn a_function_root_factorial_or_power_states_none() {
    check(
        &[
            "√8",
            "∛8",
            r"\sqrt 8",
            r"\sqrt[3]{8}",
            "8!",
            "(8)!",
            "log 8",
            "log(8)",
            r"\ln 8",
            r"\log_2 8",
            r"\sin 8",
            "f(8)",
            "max(3, 8)",
            "P(X = 8)",
            r"\sum_{i=8}",
            "the square root of 8",
            "half of 8",
            "twice 8",
            "e^8",
            "x<sup>8</sup>",
            "a8",
            "8a",
            "f (8)",
            r"0.\overline{8}",
        ],
        None,
    );
}

#[test]
fn a_list_or_an_interval_states_none() {
    check(
        &[
            "3, 5, 8",
            "3,\n8",
            r"\{3, 8\}",
            "{3,8}",
            r"\{8\}",
            "[3; 8]",
            "(3, 8)",
            r"(-\infty, 8)",
            r"(8, \infty)",
            "(8, x)",
            "8, x",
            "[8, inf)",
            "(8, oo)",
            "∞, 8",
            "3 and 8",
            "3|8",
            "7 8",
            "3 to 8",
            "3 of 8",
            "1:8",
            "3 dogs and 8 cats",
            "3 hours and 8 minutes",
            "8 and a half",
            "8 or 3",
            "8 or none",
            "3 or maybe 8",
            "x = 3 or x = 8",
            "x = 3 and y = 8",
            "x=3, y=8",
            "x is 3 or x is 8",
            "Tom: 3, Ann: 8",
        ],
        None,
    );
}

#[test]
fn a_comparison_or_an_equation_without_solution_states_none() {
    check(
        &[
            "x > 8",
            "x >= 8",
            "x <= 8",
            "x != 8",
            r"x \ne 8",
            "x ≥ 8",
            "8 < x",
            "more than 8",
            "at least 8",
            "negative 8",
            "~8",
            "2x = 8",
            "x + 3 = 8",
            "x^2 = 8",
            "xy = 8",
            "the absolute value of 8",
            "subtract 8",
            "|x| = 8",
            "8...",
            "8…",
            "8?",
            "8 million",
            "8 sevenths",
            "8 thousandths",
            "8th",
        ],
        None,
    );
}

#[test]
fn a_single_number_is_stated_however_it_is_introduced() {
    check(
        &[
            "8",
            "(8)",
            "+8",
            "8.",
            "= 8",
            "x = 8",
            "$x = 8$",
            r"\[ x = 8 \]",
            r"\( 8 \)",
            "The answer is 8.",
            "The answer is **8**.",
            "**Answer:** 8",
            "Answer: 8\n\n",
            "<answer>8</answer>",
            "$8 per hour, a good wage",
            "8 km/h",
            "8 °C",
            "Final Answer: The final answer is $8$. I hope it is correct.",
            "8 is the answer",
            "We get 8, which is even.",
            "In all:\n- 8",
            "(B) 8",
            r"\text{so } 8",
            "so it happens 8 times.",
            "It is 8 (exactly).",
            "答案是8。",
            "所以一共8个苹果",
            "Each of the 4 kids gets 8 apples.",
        ],
        Some(8.0),
    );
}

#[test]
fn the_result_of_a_calculation_is_stated() {
    check(
        &[
            "5+3=8",
            "so 5 + 3 = 8 apples.",
            "She has 3 dogs and 5 cats, so in total 8",
            "2x = 16, x = 8",
            "f(2) = 8",
            "48/8 = 6, 6+2 = 8",
            "V = 2 x 2 x 2 = 8 m^3",
            "A = l * w = 2 * 4 = 8 cm^2",
            "Half of 6 is 3 and 3+5 is 8.",
            "The sum of 3 and 5 is 8",
            "3 apples, so 8",
            "10% of 80 is 8",
            "2 + 6\n= 8",
            "Step 2: 5 + 3 = 8",
            "She sold 5+3 = <<5+3=8>>8 clips in April and May.",
            "0.5 x 2 = $1 and 4 x 2 = $8.",
        ],
        Some(8.0),
    );
}

#[test]
fn a_mark_is_judged_as_a_whole() {
    check(
        &[
            r"\boxed{3, 8}",
            r"\boxed{2*8}",
            r"\boxed{x > 8}",
            r"\boxed{x >= 8}",
            r"\boxed{\pm 8}",
            r"\boxed{2x = 8}",
            r"\boxed{x = 3 or x = 8}",
            r"\boxed{x=3, y=8}",
            r"\boxed{3} or \boxed{8}",
            r"\boxed{3}, \boxed{8}",
            "#### 3, 8",
            "#### 8, 3",
            "#### 8 * 3",
            "#### 8 million",
            "#### 8 apples and 3 pears",
            "#### x = 3 or x = 8",
            "#### log 8",
        ],
        None,
    );
    check(&[r"\boxed{x = 8}", r"\boxed{5 + 3 = 8}", "#### x = 8", "#### 8 apples"], Some(8.0));
}

#[test]
fn long_clauses_take_no_time() {
    let began = std::time::Instant::now();
    for piece in ["x = 8 or ", "8, ", "((8", "a ", "8 and ", "{8} ", "\\text{8}", "8\n", "*", "y="]
    {
        stated(&format!("{}8", piece.repeat(200_000 / piece.len())));
        stated(&format!("8{}", piece.repeat(200_000 / piece.len())));
    }
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}
