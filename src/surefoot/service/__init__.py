"""The HTTP service: a workflow's API, who may use it, and what operators see of it. Needs the extra
`service`; `access` alone does without, for the commands that make tokens."""
