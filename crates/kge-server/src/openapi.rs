//! The OpenAPI 3.1 document, folded from the table of routes.

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr,
        ResponseBuilder, ServerBuilder,
        extensions::ExtensionsBuilder,
        path::Paths,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::{
    http::{FieldError, ProblemBody},
    router::TABLE,
};

const TAGS: [(&str, &str); 7] = [
    ("datasets", "Triples, under a name"),
    ("algorithms", "Recipes for training: scoring model, loss, optimiser, schedule"),
    ("tasks", "Work that takes longer than a request"),
    ("models", "What training made"),
    ("questions", "Neighbours, predictions and scores of the promoted model"),
    ("plugins", "Scoring models, as WebAssembly components"),
    ("server", "Health, workers, documentation"),
];

/// The document of this release.
pub fn openapi() -> OpenApi {
    let mut paths = Paths::new();
    let mut schemas = BTreeMap::new();
    schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    schemas.insert(FieldError::name().into_owned(), FieldError::schema());
    for route in &TABLE.routes {
        let mut operation = route.operation.clone();
        operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        if let Some(scope) = route.scope.of_keys() {
            // Either none, where the server asks for no keys, or one with this scope.
            let none = SecurityRequirement::default();
            operation.security = Some(vec![none, SecurityRequirement::new("key", [scope.name()])]);
        }
        let scope = ExtensionsBuilder::new().add("x-scope", route.scope.name()).build();
        operation.extensions.get_or_insert_default().merge(scope);
        paths.add_path_operation(&route.path, vec![route.method.clone()], operation);
        schemas.extend(route.schemas.iter().cloned());
    }
    let mut components = Components::new();
    components.schemas.extend(schemas);
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, where the server asks for one; `kge key create` makes it"))
        .build();
    components.add_security_scheme("key", SecurityScheme::Http(key));
    let info = InfoBuilder::new()
        .title("kge-server")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Knowledge graph embeddings: triples in, models out, questions answered. \
             Errors are application/problem+json (RFC 9457).",
        ))
        .license(Some(License::new("Apache-2.0 OR MIT")))
        .build();
    let tags =
        TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .paths(paths)
        .components(Some(components))
        .tags(Some(tags))
        .build()
}

fn problem() -> utoipa::openapi::Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description("What went wrong")
        .content("application/problem+json", content)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router;

    fn document() -> serde_json::Value {
        serde_json::to_value(openapi()).unwrap()
    }

    #[test]
    fn document_and_router_are_the_same() {
        let document = document();
        let mut documented = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let concrete = path.replace("{id}", "1").replace(['{', '}'], "");
                let (methods, _) = TABLE.find(&concrete).expect(path);
                assert!(methods.contains_key(method.to_uppercase().as_str()), "{method} {path}");
                documented.push((path.clone(), method.to_uppercase()));
            }
        }
        assert_eq!(documented.len(), TABLE.routes.len());
        for route in &TABLE.routes {
            let method = router::name(&route.method).to_owned();
            assert!(documented.contains(&(route.path.clone(), method)), "{}", route.path);
            assert!(route.operation.operation_id.is_some(), "{}", route.path);
            assert!(route.operation.summary.is_some(), "{}", route.path);
        }
    }

    #[test]
    fn every_reference_resolves() {
        fn visit(value: &serde_json::Value, document: &serde_json::Value) {
            match value {
                serde_json::Value::Object(members) => {
                    if let Some(target) = members.get("$ref").and_then(|r| r.as_str()) {
                        let pointer = target.strip_prefix('#').expect(target);
                        assert!(document.pointer(pointer).is_some(), "{target} does not resolve");
                    }
                    members.values().for_each(|v| visit(v, document));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|v| visit(v, document)),
                _ => {}
            }
        }
        let document = document();
        visit(&document, &document);
    }

    #[test]
    fn every_path_parameter_is_documented() {
        for route in &TABLE.routes {
            let parameters = serde_json::to_value(&route.operation.parameters).unwrap();
            let documented = parameters.to_string();
            for name in route.path.split('/').filter_map(|s| s.strip_prefix('{')) {
                let name = name.trim_end_matches('}');
                assert!(documented.contains(&format!("\"name\":\"{name}\"")), "{}", route.path);
            }
        }
    }

    #[test]
    fn the_document_as_people_read_it() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&openapi()).unwrap());
    }
}
