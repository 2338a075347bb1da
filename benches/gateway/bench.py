#!/usr/bin/env python3
"""Measures what each gateway in targets.toml costs against the mock upstream.

  bench.py [--only NAME[,NAME]] [--parts start,sat,lat,stream] [--targets FILE]

WEIR_BENCH_RATES, WEIR_BENCH_LAT_SECS, WEIR_BENCH_LAT_ROUNDS and WEIR_BENCH_OUT change the fixed-rate part and the output folder
(p99.9 needs long runs: WEIR_BENCH_RATES=500 WEIR_BENCH_LAT_SECS=10 WEIR_BENCH_LAT_ROUNDS=2 WEIR_BENCH_OUT=out-long).

Each part alternates direct and gateway runs (A B A B) inside a few seconds, so that noise from other
work on the machine hits both. Results: one JSON file a target under out/, written after each part.
CPU is user+sys of the gateway's whole process tree, from /proc/PID/stat. Loopback only; every run is
bounded in time. Every process it starts it ends by pid (a process group of its own).
On a shared machine nice alone does little: Linux's autogroup gives every session an equal share, and
nice counts only inside one. So this script makes itself a session, keeps everything it starts in it,
and raises that session's autogroup (WEIR_BENCH_AUTOGROUP_NICE, default -15; needs root; 0 = leave alone).
"""
import argparse, contextlib, json, os, re, resource, signal, socket, statistics, subprocess, sys, time
import http.client, tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUN = Path(os.environ.get("WEIR_BENCH_RUN", Path.home()/".cache/weir/bench"))  # virtual environments, rendered configurations, results
B = str(RUN)
MOCK = f"{B}/target/release/mock-upstream"
LOAD = f"{B}/target/release/stream-load"
OUT = Path(os.environ.get("WEIR_BENCH_OUT", RUN/"out"))
LAT_SECS, LAT_ROUNDS = os.environ.get("WEIR_BENCH_LAT_SECS", "3"), int(os.environ.get("WEIR_BENCH_LAT_ROUNDS", "3"))
HZ = os.sysconf("SC_CLK_TCK"); PAGE = os.sysconf("SC_PAGE_SIZE")
DIRECT = "http://127.0.0.1:9100/v1/chat/completions"
MOCK_DEFAULT = "chunks=200,delay_us=10000,stamp=1"
WORDS = "Please summarise the following paragraph in one short sentence. "
TEXT = (WORDS * 40)[:2048]

def tree(pid):
    kids = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                s = open(f"/proc/{d}/stat").read(); p = int(s[s.rindex(")")+2:].split()[1])
                kids.setdefault(p, []).append(int(d))
    out, todo = [], [pid]
    while todo:
        p = todo.pop(); out.append(p); todo += kids.get(p, [])
    return out

def cpu(pid):
    t = 0
    for p in tree(pid):
        with contextlib.suppress(OSError):
            s = open(f"/proc/{p}/stat").read(); f = s[s.rindex(")")+2:].split()
            t += int(f[11]) + int(f[12])
    return t / HZ

def mem(pid):
    rss = pss = 0
    for p in tree(pid):
        with contextlib.suppress(OSError):
            for l in open(f"/proc/{p}/smaps_rollup"):
                if l.startswith("Rss:"): rss += int(l.split()[1])
                if l.startswith("Pss:"): pss += int(l.split()[1])
    return {"rss_mib": round(rss/1024, 1), "pss_mib": round(pss/1024, 1)}

def procstat():
    v = [int(x) for x in open("/proc/stat").readline().split()[1:]]
    return {"busy": (sum(v[:3]) + v[5] + v[6]) / HZ, "steal": v[7] / HZ, "idle": (v[3]+v[4]) / HZ}

class Proc:
    """A process in its own group; stop() ends that group only."""
    def __init__(self, argv, env=None, log=None, cwd=None):
        e = dict(os.environ); e.update(env or {})
        self.log = open(log, "ab") if log else subprocess.DEVNULL
        self.p = subprocess.Popen(argv, env=e, stdout=self.log, stderr=self.log, process_group=0, cwd=cwd)
        self.pid = self.p.pid
    def stop(self, sig=signal.SIGTERM):
        if self.p.poll() is None:
            with contextlib.suppress(OSError): os.killpg(self.pid, sig)
            try: self.p.wait(4)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(OSError): os.killpg(self.pid, signal.SIGKILL)
                self.p.wait(4)

MOCKS, GATEWAYS = [], []
def mock(default=MOCK_DEFAULT):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", 9100), 1).close(); raise SystemExit("port 9100 is taken")
    m = Proc([MOCK, "--listen", "127.0.0.1:9100", "--default", default])
    MOCKS.append(m)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", 9100), 1).close(); return m
        except OSError: time.sleep(0.01)
    raise SystemExit("mock did not start")

def mock_stats(reset=False):
    c = http.client.HTTPConnection("127.0.0.1", 9100, timeout=5)
    c.request("GET", "/stats" + ("?reset=1" if reset else "")); r = json.loads(c.getresponse().read()); c.close()
    return r

def parse(url):
    m = re.match(r"http://([\d.]+|localhost):(\d+)(/.*)", url); return "127.0.0.1", int(m[2]), m[3]

def body(t, stream=False, text=TEXT):
    b = {"model": t.get("model", "mock"), "messages": [{"role": "user", "content": text}]}
    if stream: b["stream"] = True; b["stream_options"] = {"include_usage": True}
    return json.dumps(b).encode()

def post(t, data, timeout=10, read=True):
    h, p, path = parse(t["url"])
    c = http.client.HTTPConnection(h, p, timeout=timeout)
    hd = {"content-type": "application/json", "authorization": "Bearer sk-mock", **t.get("headers", {})}
    t0 = time.time()
    try:
        c.request("POST", path, data, hd); r = c.getresponse(); d = r.read() if read else b""
        return r.status, d, time.time() - t0, dict(r.getheaders())
    finally:
        c.close()

def tool(argv, env=None, timeout=90):
    e = dict(os.environ); e.update(env or {})
    r = subprocess.run(argv, env=e, capture_output=True, text=True, timeout=timeout)
    last = [l for l in r.stdout.strip().splitlines() if l.startswith("{")]
    if not last: raise RuntimeError((r.stdout + r.stderr)[-400:])
    return json.loads(last[-1])

def args_for(t):
    a = ["--url", t["url"].replace("localhost", "127.0.0.1"), "--model", t.get("model", "mock")]
    for k, v in t.get("headers", {}).items(): a += ["--header", f"{k}: {v}"]
    return a

class Span:
    """CPU of gateway and mock, and of everything else on the machine, over a block."""
    def __init__(self, gw, mk): self.gw, self.mk = gw, mk
    def __enter__(self):
        self.c = cpu(self.gw) if self.gw else 0; self.m = cpu(self.mk); self.s = procstat()
        self.r = resource.getrusage(resource.RUSAGE_CHILDREN); self.t = time.time(); return self
    def __exit__(self, *a):
        self.wall = time.time() - self.t
        self.cpu = (cpu(self.gw) if self.gw else 0) - self.c; self.mock = cpu(self.mk) - self.m
        r = resource.getrusage(resource.RUSAGE_CHILDREN); cl = r.ru_utime + r.ru_stime - self.r.ru_utime - self.r.ru_stime
        s = procstat()
        self.note = {"gw_cpu_s": round(self.cpu, 3), "mock_cpu_s": round(self.mock, 3), "client_cpu_s": round(cl, 3),
            "other_cpus": round((s["busy"] - self.s["busy"] - self.cpu - self.mock - cl) / self.wall, 2),
            "steal_cpus": round((s["steal"] - self.s["steal"]) / self.wall, 2), "load1": float(open("/proc/loadavg").read().split()[0])}

def wrk(t, conns, secs):
    env = {"MODEL": t.get("model", "mock"), "EXTRA_HEADERS": "|".join(f"{k}: {v}" for k, v in t.get("headers", {}).items())}
    return tool(["wrk", "-t1", f"-c{conns}", f"-d{secs}s", "--latency", "--timeout", "10s", "-s", str(HERE/"post.lua"), t["url"]], env)

def sub(x): return os.path.expandvars(x.replace("{RUN}", B).replace("{HERE}", str(HERE))) if isinstance(x, str) else x

def render_conf():
    """Copies conf/ to RUN/conf with the run folder filled in."""
    (RUN/"conf").mkdir(parents=True, exist_ok=True); (RUN/"nginx").mkdir(exist_ok=True); (RUN/"klog").mkdir(exist_ok=True)
    for f in (HERE/"conf").iterdir(): (RUN/"conf"/f.name).write_text(f.read_text().replace("@RUN@", B))
    OUT.mkdir(parents=True, exist_ok=True)


def start(t, extra_env=None):
    env = {k: sub(v) for k, v in t.get("env", {}).items()}; env.update(extra_env or {})
    uf = sub(t.get("url_file", ""))
    if uf: Path(uf).unlink(missing_ok=True)
    g = Proc([sub(c) for c in t["cmd"]], env, str(OUT/f"{t['name']}.log"))
    GATEWAYS.append(g); t0 = time.time(); last = ""
    while time.time() - t0 < 90:
        if g.p.poll() is not None: raise RuntimeError(f"exited {g.p.returncode}: " + open(OUT/f"{t['name']}.log").read()[-600:])
        if uf:
            if not Path(uf).exists() or not Path(uf).read_text(): time.sleep(0.005); continue
            t["url"] = t["url_tpl"].replace("{BASE}", Path(uf).read_text().rstrip("/")).replace("localhost", "127.0.0.1").replace("0.0.0.0", "127.0.0.1")
        try:
            st, d, _, _ = post(t, body(t)); last = f"{st} {d[:200]!r}"
            if st == 200 and b"choices" in d: return g, time.time() - t0
            time.sleep(0.05)
        except OSError as e: last = str(e); time.sleep(0.005)
    g.stop(); raise RuntimeError("not ready in 90 s: " + last)

@contextlib.contextmanager
def realtime(*pids):
    """SCHED_RR for the gateway, the mock and (by inheritance) the client, in the parts that load the
    machine lightly: on a shared machine this keeps other jobs' builds out of the latencies."""
    if os.environ.get("WEIR_BENCH_RT", "1") != "1": yield; return
    def each(policy, prio):
        n = 0
        for pid in pids:
            for p in tree(pid):
                with contextlib.suppress(OSError):
                    for tid in os.listdir(f"/proc/{p}/task"):
                        with contextlib.suppress(OSError): os.sched_setscheduler(int(tid), policy, os.sched_param(prio)); n += 1
        with contextlib.suppress(OSError): os.sched_setscheduler(0, policy, os.sched_param(prio))
        return n
    each(os.SCHED_RR, 1)
    try: yield
    finally: each(os.SCHED_OTHER, 0)

def med(v): return round(statistics.median(v), 1) if v else None

def run(t, parts, res, save):
    m = mock(); direct = {"url": DIRECT, "name": "direct"}
    try:
        post(direct, body(direct))
        starts = []
        for _ in range(3 if "start" in parts and not t.get("slow") else 1):
            g, dt = start(t); starts.append(round(dt, 3))
            if len(starts) < (3 if "start" in parts and not t.get("slow") else 1): g.stop(); time.sleep(0.2)
        time.sleep(5)  # idle is at rest: an allocator may keep for a second or two what the start took
        if "start" in parts: res["start_s"] = starts; res["mem_idle"] = mem(g.pid)
        res["procs"] = len(tree(g.pid))
        res["size_mib"] = round(sum(int(subprocess.run(["du", "-sbL", sub(p)], capture_output=True, text=True).stdout.split()[0] or 0) for p in t["size"]) / 2**20, 1)
        st, d, _, h = post(t, body(t)); res["unary_bytes"] = len(d); res["resp_headers"] = h
        save()
        if "sat" in parts:
            wrk(t, 32, 2); wrk(direct, 32, 1)
            res["sat"] = []
            for conns in (32, 64):
                for _ in range(2):
                    with Span(None, m.pid) as s: d = wrk(direct, conns, 2)
                    with Span(g.pid, m.pid) as x: w = wrk(t, conns, 4)
                    res["sat"].append({"conns": conns, "direct": d, "direct_note": s.note, "gw": w, "note": x.note,
                        "cpu_s_per_1k": round(1000 * x.cpu / max(1, w["requests"]), 4), "mem": mem(g.pid)})
                    save()
        if "lat" in parts:
          res["lat"] = []
          with realtime(g.pid, m.pid):
            for rate in [int(x) for x in os.environ.get("WEIR_BENCH_RATES", "").split(",") if x] or t.get("rates", [200]):
                tool([LOAD, "rate", *args_for(t), "--rate", str(rate), "--secs", "1"])
                for _ in range(LAT_ROUNDS):
                    a = ["--rate", str(rate), "--secs", LAT_SECS, "--conns", "32"]
                    with Span(None, m.pid) as s: d = tool([LOAD, "rate", *args_for(direct), *a])
                    with Span(g.pid, m.pid) as x: w = tool([LOAD, "rate", *args_for(t), *a])
                    res["lat"].append({"rate": rate, "direct": d, "direct_note": s.note, "gw": w, "note": x.note,
                        "cpu_s_per_1k": round(1000 * x.cpu / max(1, w["ok"]), 4)}); save()
        if "stream" in parts:
          res["stream"] = []
          with realtime(g.pid, m.pid):
            for _ in range(2):
                a = ["--conns", "32", "--streams", "64"]
                with Span(None, m.pid) as s: d = tool([LOAD, "stream", *args_for(direct), *a])
                with Span(g.pid, m.pid) as x: w = tool([LOAD, "stream", *args_for(t), *a], timeout=240)
                # every connection also runs one uncounted warm-up stream: count its chunks too
                chunks = w["content_chunks"] + 32 * 200
                res["stream"].append({"direct": d, "direct_note": s.note, "gw": w, "note": x.note,
                    "cpu_s_per_1k_chunks": round(1000 * x.cpu / max(1, chunks), 4)}); save()
        if "sat" in parts: res["mem_after"] = mem(g.pid); save()
    finally:
        for x in GATEWAYS: x.stop()
        for x in MOCKS: x.stop()

def own_session():
    with contextlib.suppress(OSError): os.setsid()
    n = int(os.environ.get("WEIR_BENCH_AUTOGROUP_NICE", "-15"))
    if n:
        try: open("/proc/self/autogroup", "w").write(str(n))
        except OSError as e: print("autogroup not raised:", e)

def main():
    own_session()
    ap = argparse.ArgumentParser()
    ap.add_argument("--only", default=""); ap.add_argument("--parts", default="start,sat,lat,stream")
    ap.add_argument("--targets", default=str(HERE/"targets.toml"))
    o = ap.parse_args(); render_conf()
    for t in tomllib.load(open(o.targets, "rb"))["target"]:
        if o.only and t["name"] not in o.only.split(",") or not o.only and t.get("variant"): continue
        if not Path(sub(t["cmd"][0])).exists(): print(t["name"], "not installed, skipped"); continue
        t["url_tpl"] = t["url"]; f = OUT/f"{t['name']}.json"
        res = json.loads(f.read_text()) if f.exists() else {}
        res["name"] = t["name"]; res["when"] = time.strftime("%FT%TZ", time.gmtime())
        save = lambda: f.write_text(json.dumps(res, indent=1))
        t0 = time.time()
        try: run(t, o.parts.split(","), res, save); res.pop("error", None)
        except Exception as e: res["error"] = f"{type(e).__name__}: {e}"
        save(); print(t["name"], round(time.time() - t0), "s", res.get("error", "ok"), flush=True)

if __name__ == "__main__":
    main()
