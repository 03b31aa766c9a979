-- child: running the agent.

CREATE FUNCTION @extschema@.voxanne_ops_version(OUT library text, OUT sql text, OUT agent text, OUT preloaded boolean, OUT advice text)
LANGUAGE C VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'voxanne_ops_version';
COMMENT ON FUNCTION @extschema@.voxanne_ops_version() IS
'One row. library, sql, agent: versions of the loaded library, of this database''s SQL objects and of voxanne_agent (null if it does not answer); preloaded: whether the library was loaded at server start; advice: what to do where these do not fit together (null: nothing).';
GRANT EXECUTE ON FUNCTION @extschema@.voxanne_ops_version() TO pg_monitor;
