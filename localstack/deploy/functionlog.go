package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// saveFunctionLogs writes the logs of the functions to functions.log in the folder.
// They often contain the reason of a failed conversation.
func (m *ministack) saveFunctionLogs(ctx context.Context, folder string) error {
	var groups struct {
		LogGroups []struct {
			LogGroupName string `json:"logGroupName"`
		} `json:"logGroups"`
	}
	if err := m.callLogs(ctx, "DescribeLogGroups", struct{}{}, &groups); err != nil {
		return err
	}
	var all strings.Builder
	for _, group := range groups.LogGroups {
		var found struct {
			Events []struct {
				Timestamp int64  `json:"timestamp"`
				Message   string `json:"message"`
			} `json:"events"`
		}
		if err := m.callLogs(ctx, "FilterLogEvents", map[string]string{"logGroupName": group.LogGroupName}, &found); err != nil {
			return err
		}
		for _, event := range found.Events {
			at := time.UnixMilli(event.Timestamp).UTC().Format("15:04:05.000")
			fmt.Fprintf(&all, "%s %s %s\n", at, filepath.Base(group.LogGroupName), strings.TrimSpace(event.Message))
		}
	}
	return os.WriteFile(filepath.Join(folder, "functions.log"), []byte(all.String()), 0o600)
}

// callLogs calls CloudWatch Logs of MiniStack, which requires no signature.
func (m *ministack) callLogs(ctx context.Context, operation string, in, out any) error {
	_, err := call{
		method: http.MethodPost, url: m.endpoint, body: in, status: http.StatusOK, into: out,
		header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"Logs_20140328." + operation}},
	}.do(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return nil
}
