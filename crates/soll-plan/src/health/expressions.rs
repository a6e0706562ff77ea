//! CEL expressions of the spec: `healthCheckExprs` and `readyExpr`.

use std::collections::HashMap;
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{self, Context, IdedExpr};
use soll_api::{Class, Failure, HealthCheckExpr, Object, Retry};
use soll_yaml::{Data, Value};

use super::cost::Cost;
use super::optionals::rewrite;
use super::{Health, HealthStatus};

/// Longest expression, in bytes: bounds the work of parsing.
const LONGEST: usize = 16 * 1024;

/// The rules of `healthCheckExprs`, compiled.
#[derive(Debug, Default)]
pub struct HealthExpressions {
    /// By group and kind; an empty kind stands for all kinds of the group.
    rules: HashMap<(String, String), Rule>,
}

#[derive(Debug)]
struct Rule {
    in_progress: Option<Expression>,
    failed: Option<Expression>,
    current: Expression,
}

impl HealthExpressions {
    /// Compiles the rules.
    ///
    /// # Errors
    /// Names the expression that is no CEL, or two rules for one kind. Only a change of the spec helps.
    pub fn new(rules: &[HealthCheckExpr]) -> Result<Self, Failure> {
        let mut compiled = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            let group = rule.api_version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
            let key = (group, rule.kind.clone().unwrap_or_default());
            let place = |field: &str| format!("spec.healthCheckExprs[{index}].{field}");
            if compiled.contains_key(&key) {
                let what = format!("{}: there is a rule for this group and kind already", place("kind"));
                return Err(terminal(&what));
            }
            let optional = |field: &str, text: &Option<String>| match text.as_deref() {
                None | Some("") => Ok(None),
                Some(text) => compile(text, &place(field)).map(Some),
            };
            let rule = Rule {
                in_progress: optional("inProgress", &rule.in_progress)?,
                failed: optional("failed", &rule.failed)?,
                current: compile(&rule.current, &place("current"))?,
            };
            compiled.insert(key, rule);
        }
        Ok(Self { rules: compiled })
    }

    /// The health of a live object by the rule for its kind; nothing if there is none.
    #[must_use]
    pub fn health(&self, live: &Object) -> Option<Health> {
        let key = |kind: &str| (live.group().to_owned(), kind.to_owned());
        let rule = self.rules.get(&key(live.kind())).or_else(|| self.rules.get(&key("")))?;
        Some(rule.health(live).unwrap_or_else(|error| Health::new(HealthStatus::Unknown, error)))
    }
}

impl Rule {
    fn health(&self, live: &Object) -> Result<Health, String> {
        let observed = live.value().lookup(&["status", "observedGeneration"]).and_then(Value::as_i64);
        if observed.is_some() && observed != live.generation() {
            return Ok(Health::in_progress("the latest generation has not been observed"));
        }
        let mut context = Context::default().with_all();
        for entry in live.value().as_map().into_iter().flatten() {
            context.add_variable_from_value(entry.key.as_str(), to_cel(&entry.value));
        }
        for (expression, status) in
            [(&self.in_progress, HealthStatus::InProgress), (&self.failed, HealthStatus::Failed)]
        {
            if let Some(expression) = expression
                && expression.holds(&context, &[live.value()])?
            {
                return Ok(Health::new(status, format!("the expression for {status} holds")));
            }
        }
        if self.current.holds(&context, &[live.value()])? {
            return Ok(Health::current("the expression for Current holds"));
        }
        Ok(Health::in_progress("no expression holds"))
    }
}

/// The expression of a dependency that says when it counts as ready.
#[derive(Debug)]
pub struct ReadyExpression(Expression);

impl ReadyExpression {
    /// Compiles the expression of `spec.dependsOn[index]`.
    ///
    /// # Errors
    /// If it is no CEL. Only a change of the spec helps.
    pub fn new(text: &str, index: usize) -> Result<Self, Failure> {
        compile(text, &format!("spec.dependsOn[{index}].readyExpr")).map(Self)
    }

    /// Says whether the dependency is ready, seen from the dependent.
    ///
    /// # Errors
    /// Why the expression has no answer: a field that is missing, or of another type.
    pub fn holds(&self, dependent: &Value, dependency: &Value) -> Result<bool, String> {
        let mut context = Context::default().with_all();
        context.add_variable_from_value("self", to_cel(dependent));
        context.add_variable_from_value("dep", to_cel(dependency));
        self.0.holds(&context, &[dependent, dependency])
    }
}

/// An expression and what it may cost.
#[derive(Debug)]
struct Expression {
    expression: IdedExpr,
    cost: Cost,
}

fn compile(text: &str, place: &str) -> Result<Expression, Failure> {
    if text.len() > LONGEST {
        return Err(terminal(&format!("{place}: the expression is longer than {LONGEST} bytes")));
    }
    let parsed = Parser::new().enable_optional_syntax(true).parse(text);
    let mut expression = parsed.map_err(|error| terminal(&format!("{place}: {}", error.to_string().trim())))?;
    rewrite(&mut expression);
    let cost = Cost::of(&expression);
    if let Some(name) = cost.foreign() {
        return Err(terminal(&format!("{place}: undeclared reference to '{name}'")));
    }
    Ok(Expression { cost, expression })
}

fn terminal(what: &str) -> Failure {
    let message = format!("Reconciliation failed terminally due to configuration error: {what}");
    Failure::new(Class::Configuration, "InvalidCELExpression", message, Retry::OnChange)
}

impl Expression {
    /// Evaluates to true or false over the values that the context was made from.
    fn holds(&self, context: &Context<'_>, inputs: &[&Value]) -> Result<bool, String> {
        self.cost.check(inputs.iter().copied())?;
        match context.resolve(&self.expression) {
            Ok(cel::Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(format!("the expression gives a {}, not a boolean", other.type_of())),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn to_cel(value: &Value) -> cel::Value {
    match &value.data {
        Data::Null => cel::Value::Null,
        Data::Bool(value) => cel::Value::Bool(*value),
        Data::Int(value) => cel::Value::Int(*value),
        Data::Float(value) => cel::Value::Float(*value),
        Data::Str(text) => cel::Value::String(Arc::new(text.to_string())),
        Data::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Data::Map(map) => {
            let entries = map.iter().map(|entry| (entry.key.as_str().into(), to_cel(&entry.value)));
            cel::Value::Map(cel::objects::Map { map: Arc::new(entries.collect()) })
        }
    }
}
