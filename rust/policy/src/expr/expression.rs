//! The compiled expression: what the rest of the crate holds and evaluates.

use std::{borrow::Cow, fmt};

use super::{
    ast::{Node, Position},
    error::{ErrorCode, ExpressionError, Fault},
    eval,
    lint::{self, Lint},
    parser,
    value::Value,
    variables::Variables,
};

/// An expression, compiled once and evaluated for many clients, from many threads.
pub struct Expression {
    source: Box<str>,
    root: Node,
    variables: Box<[Box<str>]>,
}

impl Expression {
    /// Compiles `source`. The only failure is `syntax`, with line, column and what was expected:
    /// unknown functions and bad patterns are errors of evaluation, and findings of
    /// [`Expression::lint`].
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        let root = parser::parse(source)?;
        let mut names = Vec::new();
        collect_variables(&root, &mut names);
        names.sort_unstable();
        names.dedup();
        let variables = names.into_iter().map(Box::from).collect();
        Ok(Self {
            source: source.into(),
            root,
            variables,
        })
    }

    /// The result as a byte string (`spec/expressions.md` section 3.5): a string as it is, numbers
    /// and booleans in text, nothing as `''`. Arrays and objects are the error `bad_return`.
    pub fn evaluate<'a>(
        &'a self,
        variables: &'a dyn Variables,
    ) -> Result<Cow<'a, [u8]>, ExpressionError> {
        let value = eval::evaluate(&self.root, variables)?;
        match value {
            value if value.is_empty() => Ok(Cow::Borrowed(b"")),
            Value::Array(_) | Value::Object(_) => Err(self.bad_return()),
            value => value.stringify().map_err(|code| self.fault(code).into()),
        }
    }

    /// Whether the result is exactly `true`, the string or the boolean. Fails as
    /// [`Expression::evaluate`] does.
    pub fn is_true(&self, variables: &dyn Variables) -> Result<bool, ExpressionError> {
        match eval::evaluate(&self.root, variables)? {
            Value::Boolean(value) => Ok(value),
            Value::Text(text) => Ok(*text == *b"true"),
            value @ (Value::Array(_) | Value::Object(_)) if !value.is_empty() => {
                Err(self.bad_return())
            }
            _ => Ok(false),
        }
    }

    /// What is legal but surely not meant, in the order of the source.
    pub fn lint(&self) -> Vec<Lint> {
        lint::lint(&self.root)
    }

    /// The full dotted names of the variables it mentions, sorted, each once.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(AsRef::as_ref)
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    fn bad_return(&self) -> ExpressionError {
        self.fault(ErrorCode::BadReturn).into()
    }

    /// A failure of the expression as a whole, named after its outermost function or variable.
    fn fault(&self, code: ErrorCode) -> Fault<'_> {
        let (name, position) = match &self.root {
            Node::Call(call) => (&*call.name, call.position),
            Node::Variable(variable) => (&*variable.name, variable.position),
            _ => ("", Position { line: 1, column: 1 }),
        };
        Fault {
            code,
            name,
            position,
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn collect_variables<'n>(node: &'n Node, names: &mut Vec<&'n str>) {
    match node {
        Node::Variable(variable) => names.push(&variable.name),
        Node::Array(nodes) => nodes.iter().for_each(|node| collect_variables(node, names)),
        Node::Call(call) => call
            .args
            .iter()
            .for_each(|node| collect_variables(node, names)),
        Node::Text(_) | Node::Integer(_) | Node::Float(_) => {}
    }
}
