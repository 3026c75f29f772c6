//! What to paste into each kind of client, for a project that has not been heard of yet.

/// Lines for one kind of client.
pub(crate) struct Snippet {
    pub(crate) name: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) text: String,
}

/// The lines, with the project's own key and the gateway's address in them.
pub(crate) fn snippets(project_id: i64, key: &str, gateway_url: &str) -> Vec<Snippet> {
    let url = url::Url::parse(gateway_url).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or("127.0.0.1").to_owned();
    let is_secure = url.as_ref().is_some_and(|url| url.scheme() == "https");
    let port = url.as_ref().and_then(url::Url::port_or_known_default).unwrap_or(8080);
    vec![
        Snippet {
            name: "Try it",
            hint: "One line of curl makes the first error appear.",
            text: format!(
                "curl '{gateway_url}/api/v3/projects/{project_id}/notices?key={key}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"errors\":[{{\"type\":\"FirstError\",\"message\":\"hello from curl\"}}],\"context\":{{\"environment\":\"production\"}}}}'"
            ),
        },
        Snippet {
            name: "Sentry",
            hint: "its clients for every language: the DSN is all there is to change",
            text: format!("dsn = \"{}://{key}@{host}:{port}/{project_id}\"", if is_secure { "https" } else { "http" }),
        },
        Snippet {
            name: "OpenTelemetry",
            hint: "every SDK and the collector; exceptions of spans and log records",
            text: format!(
                "OTEL_EXPORTER_OTLP_ENDPOINT={gateway_url}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nOTEL_EXPORTER_OTLP_HEADERS=x-croak-key={key}"
            ),
        },
        Snippet {
            name: "Ruby",
            hint: "airbrake-ruby, airbrake 5 and later",
            text: format!(
                "Airbrake.configure do |c|\n  c.host        = '{gateway_url}'\n  c.project_id  = {project_id}\n  c.project_key = '{key}'\n  c.environment = 'production'\nend"
            ),
        },
        Snippet {
            name: "Ruby, older",
            hint: "hoptoad_notifier, airbrake up to 4",
            text: format!(
                "HoptoadNotifier.configure do |config|  # or Airbrake\n  config.api_key = '{key}'\n  config.host    = '{host}'\n  config.port    = {port}\n  config.secure  = {is_secure}\nend"
            ),
        },
        Snippet {
            name: "Python",
            hint: "pybrake",
            text: format!(
                "notifier = pybrake.Notifier(\n    host=\"{gateway_url}\",\n    project_id={project_id},\n    project_key=\"{key}\",\n    environment=\"production\",\n)"
            ),
        },
        Snippet {
            name: "JavaScript",
            hint: "@airbrake/node, @airbrake/browser",
            text: format!(
                "new Notifier({{\n  host: '{gateway_url}',\n  remoteConfigHost: '{gateway_url}',\n  projectId: {project_id},\n  projectKey: '{key}',\n  environment: 'production',\n}})"
            ),
        },
        Snippet {
            name: "Honeybadger",
            hint: "its clients for JavaScript; for Python the first is api_key",
            text: format!("apiKey: '{key}'\nendpoint: '{gateway_url}'"),
        },
        Snippet {
            name: "Rollbar",
            hint: "its clients for every language",
            text: format!("accessToken: '{key}'\nendpoint: '{gateway_url}/api/1/item/'"),
        },
        Snippet {
            name: "Bugsnag",
            hint: "its clients for every language",
            text: format!(
                "apiKey: '{key}'\nendpoints: {{ notify: '{gateway_url}/notify', sessions: '{gateway_url}/sessions' }}"
            ),
        },
    ]
}
