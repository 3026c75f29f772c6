//! Words that alerts and their rules are made of.

/// How bad a notice is, least first. Who says nothing, or a word of his own, means an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Severity {
    /// For developers.
    Debug,
    /// For the record.
    Info,
    /// Something that may become an error.
    Warning,
    /// Something did not work.
    #[default]
    Error,
    /// The process did not survive it.
    Fatal,
}

impl Severity {
    /// All of them, worst first.
    pub const ALL: [Severity; 5] = [Self::Fatal, Self::Error, Self::Warning, Self::Info, Self::Debug];

    /// What clients call them, in lower case.
    pub const WORDS: [(&str, Severity); 11] = [
        ("fatal", Self::Fatal),
        ("critical", Self::Fatal),
        ("emergency", Self::Fatal),
        ("alert", Self::Fatal),
        ("error", Self::Error),
        ("warning", Self::Warning),
        ("warn", Self::Warning),
        ("info", Self::Info),
        ("notice", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Debug),
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The severity that clients call so.
    #[must_use]
    pub fn parse(word: &str) -> Option<Severity> {
        let known = Self::WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known));
        known.map(|(_, severity)| *severity)
    }
}

/// What an error is called where there is one line for it.
#[must_use]
pub fn title(class: &str, message: &str) -> String {
    match (class, message.lines().next().unwrap_or_default()) {
        ("", message) => message.to_owned(),
        (class, "") => class.to_owned(),
        // Some clients begin the message with the class.
        (class, message) if message.starts_with(class) => message.to_owned(),
        (class, message) => format!("{class}: {message}"),
    }
}

/// What makes a rule fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A group is new.
    New,
    /// A resolved group came back.
    Regression,
    /// A group got more than so many notices in so many minutes.
    Count,
    /// A group was met by so many users.
    Users,
}

impl Trigger {
    /// All of them, in the order in which pages offer them.
    pub const ALL: [Trigger; 4] = [Self::New, Self::Regression, Self::Count, Self::Users];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Regression => "regression",
            Self::Count => "count",
            Self::Users => "users",
        }
    }

    /// The trigger of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Trigger> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == word)
    }
}

/// What a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationKind {
    /// Members of the project, each by mail.
    Mail,
    /// A receiver of Standard Webhooks.
    Webhook,
    /// An incoming webhook of Slack, or of what takes the same, as Mattermost.
    Slack,
    /// A webhook of Discord.
    Discord,
    /// A workflow of Teams that posts what it is sent.
    Teams,
}

impl DestinationKind {
    /// All of them, in the order in which pages offer them.
    pub const ALL: [DestinationKind; 5] = [Self::Mail, Self::Webhook, Self::Slack, Self::Discord, Self::Teams];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Teams => "teams",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<DestinationKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
