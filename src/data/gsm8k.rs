//! Grade-school word problems in the published question and answer format.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lines::{Row, read_rows};
use super::{DataError, Dataset, Message, Problem, Prompt, split, template};

/// What stands before the final number of a solution.
const MARK: &str = "####";
const DEFAULT_TEMPLATE: &str = "{question}\n\nReason step by step, then end with the final answer \
     on a line of its own, written as `#### number`.";

/// Lines of `{"question": "...", "answer": "worked solution\n#### 1,234"}`.
///
/// The answer of a problem is what stands after the last `####`, without commas (`1234`); the
/// columns keep the worked solution. Format: Cobbe et al., "Training verifiers to solve math word
/// problems", 2021, arXiv 2110.14168.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gsm8kData {
    /// The file with the problems to train on.
    pub path: PathBuf,
    /// Another file with the problems to measure by.
    #[serde(default)]
    pub held_out_path: Option<PathBuf>,
    /// Problems to measure by, chosen by the seed: out of `held_out_path` (without a number all of
    /// it), or else out of `path` (without a number none).
    #[serde(default)]
    pub held_out: Option<usize>,
    /// A system message; without `chat` it stands as text before the question.
    #[serde(default)]
    pub system: Option<String>,
    /// The question with its instruction; `{question}` is filled in.
    #[serde(default = "default_template")]
    pub template: String,
    /// Makes each problem a conversation for the model's chat template, not plain text.
    #[serde(default = "yes")]
    pub chat: bool,
    /// Reads only so many lines of `path`, from the first.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl Gsm8kData {
    pub(super) fn load(&self, seed: u64) -> Result<Dataset, DataError> {
        let train = self.read(&self.path, self.limit)?;
        match &self.held_out_path {
            Some(path) => split::join(train, self.read(path, None)?, self.held_out, seed),
            None => split::choose(train, self.held_out.unwrap_or(0), seed),
        }
    }

    fn read(&self, path: &Path, limit: Option<usize>) -> Result<Vec<Problem>, DataError> {
        read_rows(path, limit, |row| self.problem(row))
    }

    fn problem(&self, row: Row<'_>) -> Result<Problem, DataError> {
        row.text("question")?;
        let expected = "every {name} of data.template must be a column of every line";
        let filled = template::fill(&self.template, &row.columns);
        let question = filled.map_err(|problem| row.error(problem, expected))?;
        let answer = Some(final_answer(&row)?);
        let (id, prompt) = (row.index(), self.prompt(question));
        Ok(Problem { id, prompt, answer, columns: row.into_columns() })
    }

    fn prompt(&self, question: String) -> Prompt {
        let system = self.system.as_deref();
        if self.chat {
            let system = system.map(|text| Message::new("system", text));
            return Prompt::Messages(
                system.into_iter().chain([Message::new("user", question)]).collect(),
            );
        }
        Prompt::Text(system.map_or(question.clone(), |text| format!("{text}\n\n{question}")))
    }
}

fn final_answer(row: &Row<'_>) -> Result<String, DataError> {
    let solution = row.text("answer")?;
    let (_, number) = solution.rsplit_once(MARK).ok_or_else(|| {
        row.error("the answer has no \"####\"", "expected a solution that ends in \"#### number\"")
    })?;
    let number = number.trim().replace(',', "");
    if number.is_empty() {
        return Err(row.error("nothing stands after \"####\"", "expected \"#### number\""));
    }
    Ok(number)
}

fn default_template() -> String {
    DEFAULT_TEMPLATE.to_owned()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::fs;

    fn load(line: &str, settings: Value) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gsm.jsonl");
        fs::write(&path, line).unwrap();
        let mut settings = settings;
        settings["path"] = json!(path);
        serde_json::from_value::<Gsm8kData>(settings).unwrap().load(0)
    }

    const LINE: &str =
        r#"{"question":"How many?","answer":"6*200=<<6*200=1200>>1,200\n#### 1,200"}"#;

    #[test]
    fn the_answer_is_the_number_after_the_mark_without_commas() {
        let train = load(LINE, json!({})).unwrap().train;
        assert_eq!(train[0].answer.as_deref(), Some("1200"));
        assert!(train[0].columns["answer"].as_str().unwrap().starts_with("6*200"));
    }

    #[test]
    fn the_default_prompt_is_a_user_turn_that_asks_for_the_format() {
        let train = load(LINE, json!({})).unwrap().train;
        let Prompt::Messages(messages) = &train[0].prompt else { panic!("no conversation") };
        assert_eq!((messages.len(), messages[0].role.as_str()), (1, "user"));
        assert!(messages[0].content.starts_with("How many?\n\n"));
        assert!(messages[0].content.contains("#### number"));
    }

    #[test]
    fn without_chat_the_prompt_is_text() {
        let settings = json!({"chat": false, "system": "S", "template": "Q: {question}\nA:"});
        let train = load(LINE, settings).unwrap().train;
        assert_eq!(train[0].prompt, Prompt::Text("S\n\nQ: How many?\nA:".into()));
    }

    #[test]
    fn a_solution_without_a_final_answer_is_named() {
        let error = |line: &str| load(line, json!({})).unwrap_err().to_string();
        assert!(
            error(r#"{"question":"q","answer":"12"}"#).contains("gsm.jsonl:1: the answer has no")
        );
        assert!(error(r#"{"question":"q","answer":"12 #### "}"#).contains("nothing stands after"));
        assert!(error(r#"{"answer":"12 #### 3"}"#).contains("no column \"question\""));
    }
}
