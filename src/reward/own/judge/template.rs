//! The question to a judge, with places for what it is about.

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};

use crate::quote::passage;
use crate::reward::Item;
use crate::reward::own::failure::Failure;

const NAME: &str = "prompt";
/// Steps that filling may take: far more than any question has.
const FUEL: u64 = 1_000_000;

/// A minijinja template over `prompt`, `messages`, `completion`, `answer` and the columns of a problem.
pub(super) struct Template(Environment<'static>);

impl Template {
    /// The error says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        let added = environment.add_template_owned(NAME, text.to_owned());
        added.map_err(|error| format!("is no template: {}", said(&error)))?;
        Ok(Self(environment))
    }

    pub(super) fn fill(&self, item: &Item) -> Result<String, Failure> {
        let problem = item.problem;
        let about = context! {
            prompt => problem.prompt.text(),
            messages => Serde(&problem.prompt),
            completion => item.completion.text,
            answer => Serde(&problem.answer),
            columns => Serde(&problem.columns),
            ..Serde(&problem.columns)
        };
        let filled = self.0.get_template(NAME).and_then(|template| template.render(about));
        filled.map_err(|error| Failure::Template(said(&error)))
    }
}

fn said(error: &minijinja::Error) -> String {
    passage(&error.to_string()).into_owned()
}
