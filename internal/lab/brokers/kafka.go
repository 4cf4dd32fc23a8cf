package brokers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"hosho/internal/proc"
)

// kafka is one node of Apache Kafka that is broker and controller.
type kafka struct {
	java, jars string
	dir        string
	secured    *Secured

	port, controllerPort int
}

// kafkaPOM names Kafka's jars for Maven.
//
//go:embed kafka/pom.xml
var kafkaPOM []byte

// FindKafka returns the folder with Kafka's jars: that of KAFKA_HOME, else the one that FetchKafka filled. When there
// is none, or no Java, its error is ErrMissing and says what to do.
func FindKafka() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("java is %w: Apache Kafka runs on it (17 or newer); `make kafka` installs it", ErrMissing)
	}
	if home := os.Getenv("KAFKA_HOME"); home != "" {
		jars := filepath.Join(home, "libs")
		if found, err := filepath.Glob(filepath.Join(jars, "kafka-clients-*.jar")); err != nil || len(found) == 0 {
			return "", fmt.Errorf("KAFKA_HOME: Apache Kafka is %w in %s", ErrMissing, home)
		}
		return jars, nil
	}
	jars, err := kafkaCache()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(jars); err != nil {
		return "", fmt.Errorf("the broker Apache Kafka is %w: `make kafka` fetches it from Maven Central, and "+
			"KAFKA_HOME may name where it is", ErrMissing)
	}
	return jars, nil
}

// FetchKafka has Maven get Kafka's jars from Maven Central, 43 MB, into this user's cache. It returns their folder.
func FetchKafka(ctx context.Context) (string, error) {
	jars, err := kafkaCache()
	if err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(jars), "unfinished-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	pom := filepath.Join(unfinished, "pom.xml")
	if err := os.WriteFile(pom, kafkaPOM, 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "mvn", "--quiet", "--batch-mode", "--file", pom, "dependency:copy-dependencies",
		"-DoutputDirectory="+filepath.Join(unfinished, "jars"))
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch Apache Kafka: %w\n%s", err, output)
	}
	return jars, os.Rename(filepath.Join(unfinished, "jars"), jars)
}

// kafkaCache returns the folder for the jars that the POM names, which may not be there.
func kafkaCache() (string, error) {
	dir, err := cache("kafka")
	return filepath.Join(dir, fmt.Sprintf("%.6x", sha256.Sum256(kafkaPOM))), err
}

func newKafka(config Config) (*kafka, error) {
	jars, err := FindKafka()
	if err != nil {
		return nil, err
	}
	java, err := exec.LookPath("java")
	return &kafka{java: java, jars: jars, dir: config.Dir, secured: config.Secured}, err
}

func (k *kafka) choosePorts() error {
	ports, err := proc.FreePorts(2)
	if err == nil {
		k.port, k.controllerPort = ports[0], ports[1]
	}
	return err
}

func (k *kafka) url() string {
	if k.secured != nil {
		return "kafkas://" + proc.Address(k.port)
	}
	return "kafka://" + proc.Address(k.port)
}

func (k *kafka) settings() string { return filepath.Join(k.dir, "server.properties") }

// prepare formats the data, unless that was done.
func (k *kafka) prepare(ctx context.Context, data string) error {
	text := strings.Join([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + proc.Address(k.controllerPort),
		"listeners=" + k.protocol() + "://" + proc.Address(k.port) + ",CONTROLLER://" + proc.Address(k.controllerPort),
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT," + k.protocol() + ":" + k.protocol(),
		"inter.broker.listener.name=" + k.protocol(),
		"controller.listener.names=CONTROLLER",
		"log.dirs=" + data,
		"auto.create.topics.enable=false", // a topic that is missing is to be seen
		// One node is all there is, and it need not wait for others.
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
	}, "\n")
	more, err := k.security()
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.settings(), []byte(text+"\n"+more), 0o644); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); err == nil {
		return nil
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	args := []string{
		"format", "--ignore-formatted", "--config", k.settings(),
		"--cluster-id=" + base64.RawURLEncoding.EncodeToString(id), // one in 64 begins with a hyphen
	}
	if s := k.secured; s != nil {
		args = append(args, "--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", s.User, s.Password))
	}
	format := k.run(ctx, "kafka.tools.StorageTool", args...)
	if output, err := format.CombinedOutput(); err != nil {
		return fmt.Errorf("format the data: %w\n%s", errors.Join(err, ctx.Err()), output)
	}
	return nil
}

func (k *kafka) programs(string) []program {
	return []program{{k.run(context.Background(), "kafka.Kafka", k.settings()), says("] Kafka Server started")}}
}

// run returns what runs a class of Kafka's, made to start fast and to stay small.
func (k *kafka) run(ctx context.Context, class string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, k.java, append([]string{
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=INFO",
		"-cp", filepath.Join(k.jars, "*"), class,
	}, args...)...)
}
