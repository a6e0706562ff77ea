//! Label selectors in Kubernetes' notation: `a=b, c!=d, e in (f, g), h notin (i), j, !k`.

/// A label selector: all requirements must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl LabelSelector {
    /// Reads a selector.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            // A comma within parentheses belongs to the set.
            let mut depth = 0;
            let end = rest.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ',' && depth == 0
            });
            let (one, after) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
            requirements.push(requirement(one.trim()).ok_or_else(|| format!("`{text}` is no label selector"))?);
            rest = after.trim_start();
        }
        Ok(Self(requirements))
    }

    /// Says whether labels match.
    pub(crate) fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.0.iter().all(|requirement| {
            let value = label(&requirement.key);
            let is_one_of = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::In(values) => is_one_of(values),
                Test::NotIn(values) => !is_one_of(values),
            }
        })
    }
}

fn requirement(text: &str) -> Option<Requirement> {
    let is_key = |key: &str| !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "=!(),".contains(c));
    let make = |key: &str, test| is_key(key).then(|| Requirement { key: key.to_owned(), test });
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = text.strip_prefix('!') {
        return make(key.trim(), Test::Missing);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return make(key.trim(), Test::NotIn(one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return make(key.trim(), Test::In(one(value)));
    }
    if let Some(head) = text.strip_suffix(')') {
        let (head, values) = head.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => make(key.trim(), Test::In(values)),
            "notin" => make(key.trim(), Test::NotIn(values)),
            _ => None,
        };
    }
    make(text, Test::Exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, expected: bool) {
        let labels = |key: &str| match key {
            "app" => Some("web"),
            "tier" => Some("front"),
            _ => None,
        };
        assert_eq!(LabelSelector::parse(selector).map(|selector| selector.matches(labels)), Ok(expected), "{selector}");
    }

    #[test]
    fn every_form_matches() {
        check("", true);
        check("app=web", true);
        check("app == web,tier!=back", true);
        check("app in (api, web), tier", true);
        check("app notin (api,web)", false);
        check("!app", false);
        check("!x, x!=y, x notin (y)", true);
        check("x", false);
    }

    #[test]
    fn broken_selectors_are_refused() {
        for text in ["a b", "in (a)", "a on (b)", "=a", "a in b)"] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }
}
