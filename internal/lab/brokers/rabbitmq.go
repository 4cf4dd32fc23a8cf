package brokers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"hosho/internal/proc"
)

// rabbitMQ is a node of RabbitMQ, with an epmd of its own, which tells one node of Erlang's where another is: a shared
// one would outlive it. Erlang is started by itself, since the scripts that come with RabbitMQ want to be root or the
// user rabbitmq, and take a second more.
type rabbitMQ struct {
	erl, epmd string // Erlang's programs
	home      string // the folder that has RabbitMQ's applications
	dir       string
	secured   *Secured

	port               int
	nodePort, epmdPort int // others at each start: nobody was told them
}

// FindRabbitMQ returns the folder with RabbitMQ's applications, where packages put it. When there is none, or no
// Erlang, its error is ErrMissing and says how to install it.
func FindRabbitMQ() (string, error) {
	for _, program := range []string{"erl", "epmd"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", noRabbitMQ("Erlang's program " + program)
		}
	}
	for _, pattern := range []string{
		"/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins", "/opt/rabbitmq/plugins",
		"/opt/homebrew/opt/rabbitmq/plugins", "/usr/local/opt/rabbitmq/plugins",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", noRabbitMQ("RabbitMQ")
}

func noRabbitMQ(what string) error {
	return fmt.Errorf("%s is %w: `make rabbitmq` installs it", what, ErrMissing)
}

func newRabbitMQ(config Config) (*rabbitMQ, error) {
	home, err := FindRabbitMQ()
	if err != nil {
		return nil, err
	}
	erl, erlErr := exec.LookPath("erl")
	epmd, epmdErr := exec.LookPath("epmd")
	r := &rabbitMQ{home: home, erl: erl, epmd: epmd, dir: config.Dir, secured: config.Secured}
	return r, errors.Join(erlErr, epmdErr)
}

func (r *rabbitMQ) choosePorts() (err error) {
	r.port, err = proc.FreePort()
	return err
}

func (r *rabbitMQ) url() string {
	if r.secured != nil {
		return "amqps://" + proc.Address(r.port)
	}
	return "amqp://guest:guest@" + proc.Address(r.port)
}

func (r *rabbitMQ) file(name string) string { return filepath.Join(r.dir, name) }

// prepare writes the configuration, and links what RabbitMQ cannot do without in a folder of its own: to look through
// all of its plugins, of which none is used, takes two seconds.
func (r *rabbitMQ) prepare(context.Context, string) error {
	ports, err := proc.FreePorts(2)
	if err != nil {
		return err
	}
	r.nodePort, r.epmdPort = ports[0], ports[1]
	config := fmt.Sprintf(`[{rabbit, [%s,
	{log, [{console, [{enabled, true}, {level, info}]}, {file, [{file, false}]}]}]}].
`, r.listeners())
	if err := os.WriteFile(r.file("advanced.config"), []byte(config), 0o644); err != nil {
		return err
	}
	if r.secured != nil {
		if err := os.WriteFile(r.file(definitions), []byte(r.secured.Rights), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(r.file("plugins"), []byte("["+byCertificate+"].\n"), 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(r.file("applications"), 0o755); err != nil {
		return err
	}
	applications, err := os.ReadDir(r.home)
	if err != nil {
		return err
	}
	for _, application := range applications {
		name := application.Name()
		wanted := r.secured != nil && strings.HasPrefix(name, byCertificate)
		if strings.HasPrefix(name, "rabbitmq_") && !strings.HasPrefix(name, "rabbitmq_prelaunch") && !wanted {
			continue // a plugin
		}
		err := os.Symlink(filepath.Join(r.home, name), filepath.Join(r.file("applications"), name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// definitions is the file of who there is.
const definitions = "definitions.json"

// byCertificate is the plugin with which a certificate says who a client is.
const byCertificate = "rabbitmq_auth_mechanism_ssl"

// listeners are the settings of whom it listens to.
func (r *rabbitMQ) listeners() string {
	s := r.secured
	if s == nil {
		return fmt.Sprintf(`{tcp_listeners, [{"127.0.0.1", %d}]}`, r.port)
	}
	users := fmt.Sprintf("{default_user, <<%q>>}, {default_pass, <<%q>>}", s.User, s.Password)
	if s.Rights != "" {
		users = fmt.Sprintf("{load_definitions, %q}", r.file(definitions))
	}
	return fmt.Sprintf(`{tcp_listeners, []}, {ssl_listeners, [{"127.0.0.1", %d}]},
	{ssl_options, [{certfile, %q}, {keyfile, %q}, {cacertfile, %q}, {verify, verify_peer},
		{fail_if_no_peer_cert, %t}]},
	{auth_mechanisms, ['PLAIN', 'EXTERNAL']},
	{ssl_cert_login_from, common_name},
	%s`, r.port, s.Cert, s.Key, s.CA, s.Mutual, users)
}

func (r *rabbitMQ) programs(data string) []program {
	epmd := exec.Command(r.epmd, "-port", strconv.Itoa(r.epmdPort), "-address", "127.0.0.1")
	node := exec.Command(r.erl, "-noinput", "-boot", "start_sasl", "-s", "rabbit", "boot", "-start_epmd", "false",
		"-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-kernel", "prevent_overlapping_partitions", "false",
		"-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false",
		"+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none") // no busy waiting
	node.Env = proc.Environment(
		"HOME="+r.dir, // for the cookie
		"ERL_LIBS="+r.file("applications"),
		"ERL_EPMD_PORT="+strconv.Itoa(r.epmdPort), "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_CRASH_DUMP_SECONDS=0",
		"RABBITMQ_NODENAME=hosho@localhost", "RABBITMQ_DIST_PORT="+strconv.Itoa(r.nodePort),
		"RABBITMQ_BASE="+r.dir, "RABBITMQ_MNESIA_BASE="+data, "RABBITMQ_LOG_BASE="+r.dir, "RABBITMQ_LOGS=-",
		"RABBITMQ_CONF_ENV_FILE="+r.file("none"), "RABBITMQ_CONFIG_FILE="+r.file("none"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+r.file("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+r.file("plugins"), "RABBITMQ_PLUGINS_DIR="+r.file("applications"),
	)
	return []program{
		{epmd, func(string) bool { return listens(r.epmdPort) }},
		{node, says("Server startup complete")},
	}
}

// listens reports whether somebody takes connections at a port.
func listens(port int) bool {
	conn, err := net.Dial("tcp", proc.Address(port))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
