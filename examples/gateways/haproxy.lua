-- Asks Tidegate about each request; without an answer in time the request passes.
local question = "http://127.0.0.1:9902/"
local timeout = 500 -- milliseconds
-- What Tidegate needs of the request: add the field that carries your clients' credentials.
local fields = { "user-agent", "referer", "authorization", "cookie", "x-api-key" }

core.register_action("tidegate", { "http-req" }, function(txn)
    local headers = {
        ["x-forwarded-for"] = { txn.sf:src() },
        ["x-forwarded-method"] = { txn.sf:method() },
        ["x-forwarded-uri"] = { txn.sf:pathq() },
        -- Their order tells one program from another, and a table has none.
        ["x-forwarded-header-names"] = { txn.f:req_hdr_names(",") },
    }
    local sent = txn.http:req_get_headers()
    for _, name in ipairs(fields) do
        if sent[name] then
            headers[name] = { sent[name][0] }
        end
    end
    local answer = core.httpclient():get({ url = question, headers = headers, timeout = timeout })
    local function field(name)
        local values = answer.headers and answer.headers[name]
        return values and values[0]
    end
    if not answer or not answer.status or answer.status == 0 then
        return
    end
    if answer.status == 200 then
        txn:set_var("txn.tidegate_ticket", field("x-tidegate-ticket") or "")
        if field("ratelimit") then
            txn:set_var("txn.tidegate_limit", field("ratelimit"))
        end
        return
    end
    -- HAProxy itself answers 503 or 504 when nobody is there.
    if answer.status >= 500 and field("content-type") ~= "application/problem+json" then
        return
    end
    local reply = txn:reply({ status = answer.status })
    for _, name in ipairs({ "content-type", "cache-control", "retry-after", "ratelimit", "ratelimit-policy" }) do
        if field(name) then
            reply:add_header(name, field(name))
        end
    end
    reply:set_body(answer.body or "")
    txn:done(reply)
end)
