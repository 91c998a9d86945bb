//! The program in a text.

/// A longer program is none.
const LONGEST: usize = 1 << 18;
const FENCE: &str = "```";

/// The last fenced block of Python, or the whole text if it has no fence.
pub(super) fn program(text: &str) -> Option<&str> {
    let text = after_thinking(text);
    let program = match text.contains(FENCE) {
        true => last_block(text)?,
        false => text,
    };
    (!program.trim().is_empty() && program.len() <= LONGEST).then_some(program)
}

fn after_thinking(text: &str) -> &str {
    text.rsplit_once("</think>").map_or(text, |(_, after)| after)
}

/// The content of the last block that is Python, or says nothing of its language; one that the text ends
/// within is taken as far as it goes.
fn last_block(text: &str) -> Option<&str> {
    let mut parts = text.split(FENCE).skip(1);
    let mut last = None;
    while let Some(block) = parts.next() {
        let (kind, content) = block.split_once('\n').unwrap_or((block, ""));
        let kind = kind.trim().to_ascii_lowercase();
        if matches!(kind.as_str(), "" | "python" | "python3" | "py") {
            last = Some(content);
        }
        // What stands behind the closing fence is prose.
        parts.next();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_of_python_is_the_program() {
        for text in [
            "x = 1\n",
            "```python\nx = 1\n```",
            "Here:\n```py\nx = 1\n```\nIt sets x.",
            "```\nx = 1\n```",
            "```python\nx = 2\n```\nBetter:\n```Python3\nx = 1\n```",
            "```python\nx = 1\n```\nRun it:\n```sh\npython a.py\n```",
            "```python\nx = 1\n",
            "<think>```python\nx = 2\n```</think>\n```python\nx = 1\n```",
        ] {
            assert_eq!(program(text).map(str::trim), Some("x = 1"), "{text}");
        }
        for text in ["", "  \n", "```sh\nls\n```", "```python\n```", "```"] {
            assert_eq!(program(text), None, "{text}");
        }
        assert_eq!(program(&"x".repeat(1_000_000)), None);
        assert_eq!(program(&"`".repeat(1_000_000)), None);
    }
}
