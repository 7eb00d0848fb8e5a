//! What a Redis says of itself: whether it is new enough, and how it is kept.

/// The oldest release that is known to serve.
const OLDEST: (u32, u32) = (6, 2);

/// The lines of `INFO` that matter here.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ServerInfo {
    version: String,
    max_memory: u64,
    eviction: String,
    appends: bool,
}

impl ServerInfo {
    pub(super) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for line in text.lines() {
            match line.split_once(':').unwrap_or_default() {
                ("redis_version", version) => info.version = version.to_owned(),
                ("maxmemory", bytes) => info.max_memory = bytes.parse().unwrap_or(0),
                ("maxmemory_policy", policy) => info.eviction = policy.to_owned(),
                ("aof_enabled", flag) => info.appends = flag == "1",
                _ => {}
            }
        }
        info
    }

    /// # Errors
    /// Why it cannot serve, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let (oldest, minor) = OLDEST;
        let mut parts = self.version.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(found))) = (parts.next(), parts.next()) else {
            return Err(format!("it does not say that it is a Redis of {oldest}.{minor} or newer"));
        };
        if (major, found) < OLDEST {
            let version = &self.version;
            return Err(format!("it is Redis {version}; {oldest}.{minor} or newer is needed"));
        }
        Ok(())
    }

    /// What serves, but may lose tasks.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.max_memory > 0 && self.eviction != "noeviction" {
            warnings.push(format!(
                "when full, this Redis throws tasks away (maxmemory-policy {}): set noeviction",
                self.eviction
            ));
        }
        if !self.appends {
            warnings.push(
                "this Redis forgets the last tasks when it is killed: set appendonly yes"
                    .to_owned(),
            );
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_careless_servers_are_told_apart() {
        let info = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# Memory\r\n\
                    maxmemory:0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        let info = ServerInfo::parse(info);
        assert_eq!((info.version.as_str(), info.appends), ("7.0.15", true));
        assert_eq!(info.warnings(), [""; 0]);

        for (version, fits) in [
            ("6.2.0", true),
            ("6.3.4", true),
            ("7.2.4", true),
            ("8.0.0-rc1", true),
            ("10.0.1", true),
            ("6.0.16", false),
            ("5.0.14", false),
            ("2.8", false),
            ("", false),
            ("unknown", false),
        ] {
            let info = ServerInfo::parse(&format!("redis_version:{version}"));
            assert_eq!(info.check().is_ok(), fits, "{version}");
        }
        let old = ServerInfo::parse("redis_version:6.0.16").check().unwrap_err();
        assert_eq!(old, "it is Redis 6.0.16; 6.2 or newer is needed");

        let text =
            "redis_version:7.0.0\nmaxmemory:1000\nmaxmemory_policy:allkeys-lru\naof_enabled:0";
        assert_eq!(ServerInfo::parse(text).warnings().len(), 2);
    }
}
