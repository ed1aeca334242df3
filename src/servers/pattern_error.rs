//! What can be wrong with a pattern, and where in its definition.
//!
//! Plain data and texts.

use std::ops::Range;

/// Which text of a definition something is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// The pattern itself.
    Pattern,
    /// Its `unless`.
    Unless,
    /// A part.
    Part(String),
}

/// A place in a definition's texts, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The text.
    pub text: Text,
    /// The bytes of that text.
    pub span: Range<usize>,
}

/// A pattern can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The expression is wrong.
    #[error("{message}")]
    Expression {
        /// What the regex crate says.
        message: String,
        /// Where the fault is.
        spot: Spot,
    },
    /// An unknown placeholder.
    #[error("unknown placeholder {{{name}}}: known are {known}")]
    Placeholder {
        /// Its name.
        name: String,
        /// The placeholders that exist.
        known: String,
        /// Where it is.
        spot: Spot,
    },
    /// Parts that contain each other.
    #[error("the parts are nested too deeply at {{{name}}}: does a part contain itself?")]
    Nesting {
        /// The innermost part.
        name: String,
        /// Where it is named.
        spot: Spot,
    },
    /// A stranger's text can be taken for the client's address.
    #[error(
        "any text can stand here, before {{client}}, also a user's name with an address in it. \
         Write what delimits it, such as <[^<>]*>; or let nothing but fixed text follow {{client}} \
         and end the pattern with $, so that the last address is taken"
    )]
    Unanchored {
        /// The repetition that matches any text.
        spot: Spot,
    },
    /// The same, because a repetition is lazy.
    #[error(
        "any text can stand here, before {{client}}, and this repetition takes the first address \
         that it can, also one in a user's name. Write it without its ?, so that the last address \
         is taken"
    )]
    Lazy {
        /// The repetition.
        spot: Spot,
    },
}

impl PatternError {
    /// What is at fault.
    #[must_use]
    pub fn spot(&self) -> &Spot {
        match self {
            Self::Expression { spot, .. }
            | Self::Placeholder { spot, .. }
            | Self::Nesting { spot, .. }
            | Self::Unanchored { spot }
            | Self::Lazy { spot } => spot,
        }
    }
}
