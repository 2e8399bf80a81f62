//! An operation of the API: its route, who may use it, and its page in the OpenAPI file, all from one description.
//!
//! The router and the file are made from the same values, so the file cannot name a route that does not exist, and no
//! route can be left out. A problem whose code is not in an operation's list fails the tests ([`crate::guard`]).

use crate::error::Code;
use crate::guard::{self, Face};
use crate::{Api, error};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on, options};
use std::collections::BTreeMap;
use std::sync::Arc;
use strowger_store::identity::Scope;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, HeaderBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required,
};
use utoipa::{IntoParams, ToSchema};

/// Who may use an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Anybody.
    Nothing,
    /// A user or a key, whatever it may do.
    Anyone,
    /// A user: a key has no password and no second factor.
    User,
    /// Who has this scope.
    Scope(Scope),
    /// The installation's owner: not on the public listener.
    Platform,
}

/// What the guard knows of an operation.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// Such as `devices.create`.
    pub id: &'static str,
    pub needs: Needs,
    /// Changes something: it is written down in the audit log.
    pub audited: bool,
    /// Takes an `Idempotency-Key` that the guard keeps.
    pub once: bool,
    /// What it may answer beside its success.
    pub codes: Vec<Code>,
}

/// Request and answer bodies.
#[allow(clippy::large_enum_variant, reason = "made once, at the start")]
#[derive(Clone)]
enum Content {
    None,
    Of(&'static str, RefOr<Schema>),
}

pub(crate) struct Op {
    method: Method,
    path: &'static str,
    summary: &'static str,
    about: &'static str,
    meta: Meta,
    parameters: Vec<Parameter>,
    body: Content,
    /// The body may be left out.
    answer: (u16, &'static str, Content),
    tagged: bool,
    schemas: BTreeMap<String, RefOr<Schema>>,
    route: MethodRouter<Api>,
    limit: Option<usize>,
    only: Option<Face>,
}

fn add<T: ToSchema>(all: &mut BTreeMap<String, RefOr<Schema>>) -> RefOr<Schema> {
    let mut nested = Vec::new();
    T::schemas(&mut nested);
    all.extend(nested);
    let name = T::name().into_owned();
    all.insert(name.clone(), T::schema());
    Ref::from_schema_name(name).into()
}

/// A text of any content.
fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).into()
}

fn header_parameter(name: &str, about: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(text()))
        .build()
}

impl Op {
    fn new<H, T>(filter: MethodFilter, method: Method, path: &'static str, id: &'static str, handler: H) -> Op
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let audited = method != Method::GET;
        Op {
            method,
            path,
            summary: "",
            about: "",
            meta: Meta {
                id,
                needs: Needs::Platform,
                audited,
                once: false,
                codes: Vec::new(),
            },
            parameters: Vec::new(),
            body: Content::None,
            answer: (200, "Done.", Content::None),
            tagged: false,
            schemas: BTreeMap::new(),
            route: on(filter, handler),
            limit: None,
            only: None,
        }
    }

    pub fn get<H: Handler<T, Api>, T: 'static>(path: &'static str, id: &'static str, handler: H) -> Op {
        Op::new(MethodFilter::GET, Method::GET, path, id, handler)
    }

    pub fn post<H: Handler<T, Api>, T: 'static>(path: &'static str, id: &'static str, handler: H) -> Op {
        Op::new(MethodFilter::POST, Method::POST, path, id, handler)
    }

    pub fn patch<H: Handler<T, Api>, T: 'static>(path: &'static str, id: &'static str, handler: H) -> Op {
        Op::new(MethodFilter::PATCH, Method::PATCH, path, id, handler)
    }

    pub fn put<H: Handler<T, Api>, T: 'static>(path: &'static str, id: &'static str, handler: H) -> Op {
        Op::new(MethodFilter::PUT, Method::PUT, path, id, handler)
    }

    pub fn delete<H: Handler<T, Api>, T: 'static>(path: &'static str, id: &'static str, handler: H) -> Op {
        Op::new(MethodFilter::DELETE, Method::DELETE, path, id, handler).nothing()
    }

    /// What it is for: one line, and what else there is to know.
    pub fn says(mut self, summary: &'static str, about: &'static str) -> Op {
        (self.summary, self.about) = (summary, about);
        self
    }

    /// Who may use it. Without this only the platform may.
    pub fn needs(mut self, needs: Needs) -> Op {
        self.meta.needs = needs;
        self
    }

    /// Shorthand for the scope that it needs.
    pub fn scope(self, scope: Scope) -> Op {
        self.needs(Needs::Scope(scope))
    }

    /// Nothing of it goes into the audit log.
    pub fn unaudited(mut self) -> Op {
        self.meta.audited = false;
        self
    }

    pub fn query<T: IntoParams>(mut self) -> Op {
        self.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        self
    }

    pub fn body<T: ToSchema>(mut self) -> Op {
        self.body = Content::Of("application/json", add::<T>(&mut self.schemas));
        self
    }

    /// A body of bytes of this type.
    pub fn file(mut self, kind: &'static str) -> Op {
        let bytes = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        self.body = Content::Of(kind, bytes.content_media_type(kind).into());
        self
    }

    /// Any JSON document as the answer.
    pub fn any_json(mut self) -> Op {
        let object = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
        self.answer.2 = Content::Of("application/json", object.into());
        self
    }

    pub fn gives<T: ToSchema>(mut self, status: u16) -> Op {
        let schema = add::<T>(&mut self.schemas);
        self.answer = (status, "Done.", Content::Of("application/json", schema));
        self
    }

    /// A page of a list.
    pub fn lists<T: ToSchema>(mut self) -> Op {
        let item = add::<T>(&mut self.schemas);
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("Give it as `after` to get the next page; null on the last one."));
        let page = ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(item))
            .required("items")
            .property("next", next);
        self.answer = (200, "A page of the list.", Content::Of("application/json", page.into()));
        self
    }

    /// A sound file.
    pub fn sounds(mut self) -> Op {
        let bytes = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let content = Content::Of("audio/wav", bytes.content_media_type("audio/wav").into());
        self.answer = (200, "The file, or with status 206 a part of it.", content);
        self
    }

    /// Comma-separated values (RFC 4180).
    pub fn table(mut self) -> Op {
        let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
        let content = Content::Of("text/csv", text.into());
        self.answer = (200, "The table, with a line that names the columns.", content);
        self
    }

    /// No body.
    pub fn nothing(mut self) -> Op {
        self.answer = (204, "Done.", Content::None);
        self
    }

    /// Accepted, without a body.
    pub fn accepted(mut self) -> Op {
        self.answer = (202, "Accepted.", Content::None);
        self
    }

    /// The connection is another one from then on.
    pub fn switches(mut self) -> Op {
        self.answer = (101, "The connection is a WebSocket from now on.", Content::None);
        self
    }

    /// Answers an ETag, and obeys If-Match where it changes something.
    pub fn tagged(mut self) -> Op {
        self.tagged = true;
        self
    }

    /// Obeys an Idempotency-Key that the guard keeps.
    pub fn once(mut self) -> Op {
        self.meta.once = true;
        self
    }

    /// What it may answer beside what every operation like it may.
    pub fn may(mut self, codes: &[Code]) -> Op {
        self.meta.codes.extend(codes);
        self
    }

    /// Largest body, in bytes.
    pub fn limit(mut self, bytes: usize) -> Op {
        self.limit = Some(bytes);
        self
    }

    /// On this listener alone: the other has another one at the same place.
    pub fn only(mut self, face: Face) -> Op {
        self.only = Some(face);
        self
    }

    /// Adds what every operation like it may answer.
    fn completed(mut self) -> Op {
        let mut codes = vec![
            Code::BadParameter,
            Code::RateLimited,
            Code::Storage,
            Code::Internal,
            Code::Overloaded,
            Code::Draining,
        ];
        if self.meta.needs != Needs::Nothing {
            codes.extend([Code::Unauthenticated, Code::Forbidden]);
        }
        if self.path.contains('{') {
            codes.push(Code::NotFound);
        }
        if self.method != Method::GET {
            codes.extend([Code::DiskFull, Code::TooLarge]);
        }
        if matches!(self.body, Content::Of("application/json", _)) {
            codes.extend([Code::BadBody, Code::MediaType, Code::NotFound, Code::TenantRequired]);
            if self.tagged {
                codes.extend([Code::Exists, Code::InUse]);
            }
        }
        if self.tagged && self.method != Method::GET && self.method != Method::POST {
            codes.extend([Code::Stale, Code::InUse]);
        }
        if self.meta.once {
            codes.extend([Code::KeyReused, Code::Unfinished]);
        }
        codes.retain(|c| !self.meta.codes.contains(c));
        self.meta.codes.extend(codes);
        if self.parameters.iter().any(|p| p.name == "tenant") {
            self.meta.codes.extend([Code::NotFound, Code::TenantRequired]);
        }
        self.meta.codes.sort_by_key(|c| (c.status(), c.text()));
        self.meta.codes.dedup();
        self
    }

    /// Its page in the file; the answers that several operations may give go into `problems`.
    fn page(&self, problems: &mut BTreeMap<String, RefOr<Response>>) -> utoipa::openapi::path::Operation {
        let mut op = OperationBuilder::new()
            .operation_id(Some(self.meta.id))
            .summary(Some(self.summary))
            .tag(self.path.split('/').nth(1).unwrap_or_default());
        let about = match self.meta.needs {
            Needs::Scope(scope) => format!("{}\n\nScope: `{}`.", self.about, scope.name()),
            _ => self.about.to_owned(),
        };
        if !about.trim().is_empty() {
            op = op.description(Some(about.trim()));
        }
        for name in self.path.split('{').skip(1).filter_map(|p| p.split('}').next()) {
            op = op.parameter(
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Path)
                    .required(Required::True)
                    .schema(Some(
                        ObjectBuilder::new()
                            .schema_type(SchemaType::Type(Type::String))
                            .min_length(Some(1)),
                    )),
            );
        }
        for p in &self.parameters {
            op = op.parameter(p.clone());
        }
        if self.tagged && self.method != Method::GET && self.method != Method::POST {
            op = op.parameter(header_parameter(
                "If-Match",
                "The ETag that the change is made from; a newer version is not overwritten.",
            ));
        }
        if self.meta.once || self.meta.id == "calls.place" {
            op = op.parameter(header_parameter(
                "Idempotency-Key",
                "A name of 1 to 255 visible characters for this request, good for a day: the same request with the same \
                 name is carried out once.",
            ));
        }
        if let Content::Of(kind, schema) = &self.body {
            op = op.request_body(Some(
                RequestBodyBuilder::new()
                    .content(*kind, ContentBuilder::new().schema(Some(schema.clone())).build())
                    .required(Some(Required::True))
                    .build(),
            ));
        }
        op = match self.meta.needs {
            Needs::Nothing => op.securities(Some(Vec::<SecurityRequirement>::new())),
            Needs::User => op.security(SecurityRequirement::new("token", Vec::<String>::new())),
            Needs::Scope(s) => op
                .security(SecurityRequirement::new("token", [s.name()]))
                .security(SecurityRequirement::new("key", [s.name()])),
            Needs::Anyone | Needs::Platform => op
                .security(SecurityRequirement::new("token", Vec::<String>::new()))
                .security(SecurityRequirement::new("key", Vec::<String>::new())),
        };
        let request_id = || {
            HeaderBuilder::new()
                .schema(text())
                .description(Some("The request's id, as the log and the audit log have it."))
                .build()
        };
        let (status, said, content) = &self.answer;
        let mut done = ResponseBuilder::new()
            .description(*said)
            .header("X-Request-Id", request_id());
        if let Content::Of(kind, schema) = content {
            done = done.content(*kind, ContentBuilder::new().schema(Some(schema.clone())).build());
        }
        if self.tagged && *status != 204 {
            let tag = HeaderBuilder::new().schema(text()).description(Some("Its version."));
            done = done.header("ETag", tag.build());
        }
        op = op.response(status.to_string(), done.build());
        let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
        for code in &self.meta.codes {
            by_status.entry(code.status()).or_default().push(*code);
        }
        for (status, codes) in by_status {
            let name: Vec<&str> = codes.iter().map(|c| c.text()).collect();
            let name = name.join("_");
            op = op.response(status.to_string(), Ref::from_response_name(name.clone()));
            problems.entry(name).or_insert_with(|| {
                let lines: Vec<String> = codes
                    .iter()
                    .map(|c| format!("`{}`: {}.", c.text(), c.title()))
                    .collect();
                let problem = ContentBuilder::new()
                    .schema(Some(RefOr::Ref(Ref::from_schema_name("Problem"))))
                    .build();
                ResponseBuilder::new()
                    .description(lines.join("\n"))
                    .header("X-Request-Id", request_id())
                    .content("application/problem+json", problem)
                    .build()
                    .into()
            });
        }
        op.build()
    }
}

/// The router of all operations that a face has.
pub(crate) fn router(ops: Vec<Op>, api: &Api, face: Face) -> Router<Api> {
    let mut router = Router::new();
    if face == Face::Public {
        // What a browser asks before it sends a password to another origin.
        router = router.route("/ice-servers", options(crate::ice_servers::preflight));
    }
    for op in ops {
        let op = op.completed();
        let elsewhere = op.only.is_some_and(|only| only != face);
        if elsewhere || (face == Face::Public && op.meta.needs == Needs::Platform) {
            continue;
        }
        let guard = guard::Guard {
            api: api.clone(),
            meta: Arc::new(op.meta),
            face,
        };
        let mut route = op.route.layer(from_fn_with_state(guard, guard::guard));
        if let Some(limit) = op.limit {
            route = route.layer(DefaultBodyLimit::max(limit));
        }
        router = router.route(op.path, route);
    }
    router
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(axum::middleware::from_fn(guard::named))
}

/// The OpenAPI file of the public listener.
pub(crate) fn document(ops: Vec<Op>) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = Components::new();
    let mut schemas = BTreeMap::new();
    let mut problems = BTreeMap::new();
    add::<error::ProblemBody>(&mut schemas);
    for op in ops {
        let op = op.completed();
        if op.meta.needs == Needs::Platform {
            continue;
        }
        let method = match op.method {
            Method::GET => HttpMethod::Get,
            Method::POST => HttpMethod::Post,
            Method::PUT => HttpMethod::Put,
            Method::PATCH => HttpMethod::Patch,
            _ => HttpMethod::Delete,
        };
        let item = PathItem::new(method, op.page(&mut problems));
        // The router's rest-of-path form is not one of OpenAPI's.
        let path = format!("/api/v1{}", op.path.replace("{*", "{"));
        match paths.paths.get_mut(&path) {
            Some(there) => there.merge_operations(item),
            None => drop(paths.paths.insert(path, item)),
        }
        schemas.extend(op.schemas);
    }
    components.schemas = schemas.into_iter().collect();
    components.responses = problems.into_iter().collect();
    let bearer = |about: &str, format: &str| {
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format(format)
                .description(Some(about))
                .build(),
        )
    };
    components.add_security_scheme("token", bearer("An access token that a login answered.", "JWT"));
    components.add_security_scheme("key", bearer("An API key.", "swk_…"));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Strowger")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "The native API. Every error is application/problem+json (RFC 9457) with a stable code; \
                     docs/errors.md explains each.",
                )),
        )
        .paths(paths)
        .components(Some(components))
        .build()
}
